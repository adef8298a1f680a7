// Bun's native publish and subscribe (uWebSockets): near the floor of what a server can cost. No protocol above WebSocket.

import { messageFrom } from "./message.mjs";

const port = Number(process.argv[2]);
const server = Bun.serve({
  port,
  hostname: "127.0.0.1",
  async fetch(request, server) {
    if (request.method === "GET") {
      return server.upgrade(request) ? undefined : new Response("WebSocket only", { status: 426 });
    }
    const message = messageFrom(new URL(request.url).pathname, await request.text());
    server.publish("room", `42["new-message",${JSON.stringify(message)}]`);
    return Response.json(message, { status: 201 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe("room");
      socket.send("0");
    },
    message(socket, data) {
      socket.send(data);
    },
  },
});

process.on("SIGUSR2", () => Bun.gc(true));

console.log(`listening on http://127.0.0.1:${server.port}`);
