// Drives Node's socket.io-client for the tests: commands come in as JSON lines, what happens goes out as JSON lines.
//
//   in:  {"device": 1, "do": "connect", "url": …, "namespace": …, "options": {…}}
//        {"device": 1, "do": "emit", "event": …, "arguments": […]}
//        {"device": 1, "do": "call", "event": …, "arguments": […], "call": 7}
//        {"device": 1, "do": "again"}   connect again, when it does not by itself (not "active")
//        {"device": 1, "do": "close"}
//   out: {"device": 1, "is": "connected" | "refused" | "disconnected" | "transport" | "event" | "ack", …}

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2] + "/");
const { io } = require("socket.io-client");
const sockets = new Map();

function tell(device, is, more = {}) {
  process.stdout.write(JSON.stringify({ device, is, ...more }) + "\n");
}

function connect({ device, url, namespace, ca, options }) {
  const trust = ca ? { ca: readFileSync(ca) } : {};
  const socket = io(url + namespace, { forceNew: true, reconnection: false, ...trust, ...options });
  sockets.set(device, socket);
  const transport = () => tell(device, "transport", { name: socket.io.engine.transport.name });
  socket.io.on("open", () => {
    transport();
    socket.io.engine.on("upgrade", transport);
  });
  socket.io.on("ping", () => tell(device, "ping"));
  socket.on("connect", () => tell(device, "connected", { sid: socket.id, recovered: socket.recovered === true }));
  socket.on("connect_error", (error) =>
    tell(device, "refused", { message: error.message, data: error.data ?? null, active: socket.active }));
  socket.on("disconnect", (reason) => tell(device, "disconnected", { reason, active: socket.active }));
  socket.onAny((event, ...given) => tell(device, "event", { event, arguments: given }));
}

const actions = {
  connect,
  again: ({ device }) => sockets.get(device).connect(),
  emit: ({ device, event, arguments: given }) => sockets.get(device).emit(event, ...given),
  call: ({ device, event, arguments: given, call }) =>
    sockets.get(device).emit(event, ...given, (...answer) => tell(device, "ack", { call, arguments: answer })),
  close: ({ device }) => {
    sockets.get(device)?.disconnect();
    sockets.delete(device);
    tell(device, "closed");
  },
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  actions[command.do](command);
}).on("close", () => process.exit(0));
