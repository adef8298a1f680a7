// Node socket.io that remembers for two minutes what those who are away miss: as socketio_node.mjs otherwise.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { acceptPosts } from "./message.mjs";

const port = Number(process.argv[2]);
const http = createServer(
  acceptPosts((message) => io.to(message.roomId).emit("new-message", message)),
);
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  serveClient: false,
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
});

io.on("connection", (socket) => {
  if (!socket.recovered) socket.join(socket.handshake.auth.room);
});

http.listen(port, "127.0.0.1", 4096, () => console.log(`listening on http://127.0.0.1:${port}`));
