// What every JavaScript peer shares: the message it makes of a POST, in the gateway's own shape and size.

import { randomUUID } from "node:crypto";

export const messageFrom = (path, body) => {
  const { senderId, clientMessageId, parts } = JSON.parse(body);
  return {
    id: randomUUID(),
    roomId: path.split("/")[4],
    senderId,
    clientMessageId,
    parts,
    previewText: parts[0].text,
    createdAt: new Date().toISOString(),
    parentMessageId: null,
    parentMessage: null,
    editedAt: null,
    deletedAt: null,
    deletedHidden: false,
    reactions: [],
    pinnedAt: null,
    pinnedBy: null,
    forwardedFromId: null,
    forwardedFromSenderId: null,
  };
};

// A node:http handler: `publish(message)` tells the room, the sender gets the message back.
export const acceptPosts = (publish) => (request, response) => {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (chunk) => {
    body += chunk;
  });
  request.on("end", () => {
    const message = messageFrom(request.url, body);
    publish(message);
    const answer = JSON.stringify(message);
    response.writeHead(201, {
      "Content-Type": "application/json; charset=utf-8",
      "Content-Length": Buffer.byteLength(answer),
    });
    response.end(answer);
  });
};
