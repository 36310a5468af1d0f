"""Owns an unmodified pycrdt client, told what to do in lines of JSON on stdin and telling what it sees on stdout.

pycrdt's own Provider synchronises the document over pycrdt-websocket's own HttpxWebsocket. Awareness is the
application's business in pycrdt, so the channel hands those frames to pycrdt's Awareness on their way.
"""

import asyncio
import json
import sys
import threading

from httpx_ws import aconnect_ws
from pycrdt import (
    Array,
    Awareness,
    Doc,
    Map,
    Provider,
    Text,
    XmlElement,
    XmlFragment,
    XmlText,
    YMessageType,
    create_awareness_message,
    read_message,
)
from pycrdt.websocket.websocket import HttpxWebsocket


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class WithAwareness(HttpxWebsocket):
    """The channel that applications build: awareness frames go to the Awareness, all others to the Provider."""

    def __init__(self, websocket, path, awareness):
        super().__init__(websocket, path)
        self._awareness = awareness

    async def recv(self):
        message = await super().recv()
        if message[0] == YMessageType.AWARENESS:
            self._awareness.apply_awareness_update(read_message(message[1:]), "remote")
        return message


class Agent:
    def __init__(self):
        self.doc = Doc()
        self.map = self.doc.get("map", type=Map)
        self.list = self.doc.get("list", type=Array)
        self.text = self.doc.get("text", type=Text)
        self.xml = self.doc.get("xml", type=XmlFragment)
        self.awareness = Awareness(self.doc)
        self.session = None
        self.channel = None
        self.doc.observe(lambda _event: self.changed())
        self.awareness.observe(self.presence_changed)

    def changed(self):
        # The document is still in its transaction here: it is read once that is over.
        asyncio.get_running_loop().call_soon(self.show)

    def presence_changed(self, topic, change):
        if topic == "update" and change[1] == "local" and self.channel is not None:
            asyncio.ensure_future(self.announce())
        if topic == "change":
            asyncio.get_running_loop().call_soon(self.show)

    def show(self):
        others = [[k, v] for k, v in self.awareness.states.items() if k != self.doc.client_id]
        say({"event": "changed", "contents": self.contents(), "others": others})

    def contents(self):
        return {
            "map": self.map.to_py() or {},
            "list": self.list.to_py() or [],
            "text": str(self.text),
            "xml": str(self.xml),
        }

    async def announce(self):
        update = self.awareness.encode_awareness_update([self.doc.client_id])
        await self.channel.send(create_awareness_message(update))

    async def connect(self, url, headers):
        opened = asyncio.Event()
        ended = asyncio.Event()
        self.leave = asyncio.Event()
        self.session = asyncio.create_task(self.stay(url, headers, opened, ended))
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait({waiting, self.session}, return_when=asyncio.FIRST_COMPLETED)
        if self.session.done():
            await self.session

    async def stay(self, url, headers, opened, ended):
        async with aconnect_ws(url, headers=headers, max_message_size_bytes=1 << 26) as websocket:
            channel = WithAwareness(websocket, url, self.awareness)
            async with Provider(self.doc, channel) as provider:
                await provider.synced.wait()
                self.channel = channel
                await self.announce()
                opened.set()
                await self.leave.wait()
                self.channel = None

    async def disconnect(self):
        self.leave.set()
        await self.session

    def edit(self, ops):
        with self.doc.transaction():
            for op in ops:
                self.apply(op)

    def apply(self, op):
        kind = op["op"]
        if kind == "map.set":
            target = self.map
            for key in op["path"][:-1]:
                if key not in target:
                    target[key] = Map()
                target = target[key]
            target[op["path"][-1]] = op["value"]
        elif kind == "map.delete":
            target = self.map
            for key in op["path"][:-1]:
                target = target[key]
            del target[op["path"][-1]]
        elif kind == "list.insert":
            self.list.insert(op["at"], op["value"])
        elif kind == "list.delete":
            del self.list[op["at"]]
        elif kind == "text.insert":
            self.text.insert(op["at"], op["value"])
        elif kind == "text.delete":
            del self.text[op["at"] : op["at"] + op["length"]]
        elif kind == "xml.append":
            element = XmlElement(op["tag"], op["attributes"], [XmlText(op["text"])])
            self.xml.children.append(element)
        else:
            raise ValueError(f"no such edit: {kind}")

    async def obey(self, message):
        command = message["command"]
        if command == "connect":
            await self.connect(message["url"], message["headers"])
        elif command == "disconnect":
            await self.disconnect()
        elif command == "edit":
            self.edit(message["ops"])
        elif command == "presence":
            self.awareness.set_local_state(message["state"])
        elif command == "show":
            self.show()
        else:
            raise ValueError(f"no such command: {command}")
        return {"clientId": self.doc.client_id}


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.Queue()

    def listen():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=listen, daemon=True).start()
    agent = Agent()
    while (line := await lines.get()) is not None:
        message = json.loads(line)
        try:
            say({"reply": message["id"], "value": await agent.obey(message)})
        except BaseException as error:  # Every failure is the test's to judge.
            say({"reply": message["id"], "error": f"{type(error).__name__}: {error!r}"})


asyncio.run(main())
