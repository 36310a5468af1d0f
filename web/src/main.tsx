// Owns the beginning: colours first, then the visit, then the page.
import { RoundtableProvider } from '@roundtable/client/react'
import { createRoot } from 'react-dom/client'
import { Desk } from './desk/desk'
import { applyTheme, keptTheme } from './ui/theme'
import { Toasts } from './ui/toast'
import { beginVisit, VisitProvider } from './visit/visit'
import './styles/main.css'

applyTheme(keptTheme())
const root = document.getElementById('root')
if (!root) throw new Error('the page has no #root')
const visit = await beginVisit()

// Another room in the address is another visit.
addEventListener('hashchange', () => location.reload())

createRoot(root).render(
  <VisitProvider value={visit}>
    <RoundtableProvider client={visit.client}>
      <Toasts>
        <Desk />
      </Toasts>
    </RoundtableProvider>
  </VisitProvider>
)
