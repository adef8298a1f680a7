// Node socket.io with its Redis adapter, one node of several: as socketio_node.mjs otherwise.

import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { acceptPosts } from "./message.mjs";

const port = Number(process.argv[2]);
const publisher = createClient({ url: process.argv[3] });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer(
  acceptPosts((message) => io.to(message.roomId).emit("new-message", message)),
);
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  serveClient: false,
  adapter: createAdapter(publisher, subscriber),
});

io.on("connection", (socket) => {
  socket.join(socket.handshake.auth.room);
});

http.listen(port, "127.0.0.1", 4096, () => console.log(`listening on http://127.0.0.1:${port}`));
