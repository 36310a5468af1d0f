// Owns keeping the page for when there is no network.
self.addEventListener('install', (event) => {
  self.skipWaiting()
  event.waitUntil(caches.open('page').then((cache) => cache.addAll(['/', '/app.js'])))
})
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url)
  if (url.origin !== location.origin || !['/', '/app.js'].includes(url.pathname)) return
  event.respondWith(caches.match(url.pathname).then((kept) => kept ?? fetch(event.request)))
})
