// Owns the bar at the top: where one is, how things stand, who is here, and how to bring others.
import { SyncIndicator, useStatus, type SyncIndicatorLabels } from '@roundtable/client/react'
import type { Peer, Room } from '@roundtable/client'
import { useEffect, useState, type ReactNode } from 'react'
import { People } from '../people/people'
import { copy } from '../ui/copy'
import { HalfIcon, LinkIcon, Logo, MoonIcon, SunIcon, WindowIcon } from '../ui/icons'
import { keptTheme, nextTheme, type Theme } from '../ui/theme'
import { useSay } from '../ui/toast'
import { linkTo } from '../visit/address'
import { useIsOnline, useVisit } from '../visit/visit'

const LABELS: Partial<SyncIndicatorLabels> = {
  saved: 'Saved',
  saving: (count) => `saving ${count === 1 ? 'change' : 'changes'}`,
  connectingWith: (count) => `${count === 1 ? 'change' : 'changes'} kept on this device`,
  offline: 'Offline',
  failed: () => 'Not saved',
  offlineWith: (count) => `${count === 1 ? 'change' : 'changes'} kept on this device`
}

export function Bar({ room, visit }: { room: Room; visit: (peer: Peer) => void }): ReactNode {
  return (
    <header className="bar">
      <a className="brand" href="/" title="A fresh table">
        <Logo />
        <b>Roundtable</b>
      </a>
      <h1 className="room" title="The name of this room">
        {room.name}
      </h1>
      <div className="standing">
        <SyncIndicator room={room} className="sync" labels={LABELS} />
        <RoundTrip room={room} />
      </div>
      <NetworkSwitch />
      <People room={room} visit={visit} />
      <ThemeButton />
      <Share room={room} />
    </header>
  )
}

/** How long the server takes to answer, while it does. */
function RoundTrip({ room }: { room: Room }): ReactNode {
  const { client } = useVisit()
  const status = useStatus(room)
  const [ms, setMs] = useState(client.quality.roundTripMs)
  useEffect(() => {
    const timer = setInterval(() => setMs(client.quality.roundTripMs), 2_000)
    return () => clearInterval(timer)
  }, [client])
  const isLive = status === 'saved' || status === 'syncing'
  if (!isLive || ms === undefined) return null
  return (
    <span className="round-trip" title="Round trip to the server">
      {Math.max(1, Math.round(ms))} ms
    </span>
  )
}

function NetworkSwitch(): ReactNode {
  const { network } = useVisit()
  const isOnline = useIsOnline()
  return (
    <button
      type="button"
      className="switch"
      role="switch"
      aria-checked={isOnline}
      aria-label="Network"
      title={isOnline ? 'Take the network away from this window' : 'Give the network back'}
      onClick={() => network.turn(!isOnline)}
    >
      <span className="track">
        <span className="knob" />
      </span>
      <span className="words">{isOnline ? 'Online' : 'Offline'}</span>
    </button>
  )
}

const THEME_ICONS: Record<Theme, ReactNode> = {
  system: <HalfIcon />,
  light: <SunIcon />,
  dark: <MoonIcon />
}

function ThemeButton(): ReactNode {
  const [theme, setTheme] = useState(keptTheme)
  const label = `Colours: ${theme}`
  return (
    <button
      type="button"
      className="quiet theme"
      aria-label={label}
      title={label}
      onClick={() => setTheme(nextTheme(theme))}
    >
      {THEME_ICONS[theme]}
    </button>
  )
}

function Share({ room }: { room: Room }): ReactNode {
  const say = useSay()
  const link = linkTo(room.name)
  const share = async (): Promise<void> => {
    const isCopied = await copy(link)
    say({ text: isCopied ? 'The link is copied. Whoever opens it sits at this table.' : link })
  }
  const openWindow = (): void => {
    const width = Math.min(960, Math.round(screen.availWidth * 0.6))
    open(
      link,
      '_blank',
      `popup,noopener,width=${width},height=${Math.round(screen.availHeight * 0.85)}`
    )
  }
  return (
    <div className="share">
      <button
        type="button"
        className="button second"
        onClick={openWindow}
        title="Be two people at this table"
      >
        <WindowIcon />
        <span>Second window</span>
      </button>
      <button
        type="button"
        className="button primary"
        data-link={link}
        onClick={() => void share()}
      >
        <LinkIcon />
        <span>Copy link</span>
      </button>
    </div>
  )
}
