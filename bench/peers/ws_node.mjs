// Node ws: the broadcast loop of its documentation, with one buffer for all. WebSocket alone, no protocol above it.

import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { acceptPosts } from "./message.mjs";

const port = Number(process.argv[2]);
const http = createServer(
  acceptPosts((message) => {
    const data = Buffer.from(`42["new-message",${JSON.stringify(message)}]`);
    for (const client of sockets.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary: false });
    }
  }),
);
const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });

sockets.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
  socket.send("0");
});

if (globalThis.gc) process.on("SIGUSR2", () => globalThis.gc());

http.listen(port, "127.0.0.1", 4096, () => console.log(`listening on http://127.0.0.1:${port}`));
