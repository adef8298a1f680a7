// Node socket.io: rooms by its in-memory adapter, acks by its own packets. No token, no limits, nothing stored.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { acceptPosts } from "./message.mjs";

const port = Number(process.argv[2]);
const http = createServer(
  acceptPosts((message) => io.to(message.roomId).emit("new-message", message)),
);
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.on("connection", (socket) => {
  socket.join(socket.handshake.auth.room);
  socket.on("typing", (typing, ack) => ack());
});

// With --expose-gc the bench can ask for a collection before it looks at memory, which is in this server's favour.
if (globalThis.gc) process.on("SIGUSR2", () => globalThis.gc());

http.listen(port, "127.0.0.1", 4096, () => console.log(`listening on http://127.0.0.1:${port}`));
