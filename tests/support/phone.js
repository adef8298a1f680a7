// A phone in a page, as the published call SDK works: Socket.IO for what happens, REST for what is done, LiveKit for media.
class Phone {
  constructor(url, token, roomId) {
    Object.assign(this, { url, token, roomId, state: "idle", call: null, media: null, events: [], videos: new Map() });
    this.socket = io(url, { transports: ["websocket"], auth: { token } });
    for (const event of ["call-invite", "call-accepted", "call-declined", "call-ended", "new-message"]) {
      this.socket.on(event, (payload) => this.happened(event, payload));
    }
  }

  connected() {
    return new Promise((done, failed) => {
      if (this.socket.connected) done();
      this.socket.on("connect", () => done());
      this.socket.on("connect_error", (error) => failed(error));
    });
  }

  async rest(path, body) {
    const answer = await fetch(`${this.url}/v1/chat/rooms/${this.roomId}/calls${path}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body ?? {}),
    });
    const json = await answer.json();
    if (!answer.ok) throw new Error(`${answer.status} ${json.error}`);
    return json;
  }

  async happened(event, payload) {
    this.events.push([event, payload]);
    if (event === "call-invite" && this.state === "idle") {
      this.state = "incoming";
      this.call = { id: payload.callId, type: payload.type };
    } else if (event === "call-accepted" && this.state === "outgoing") {
      const { livekit } = await this.rest(`/${this.call.id}/token`);
      await this.join(livekit);
    } else if ((event === "call-declined" || event === "call-ended") && this.state !== "idle") {
      await this.over();
    }
  }

  async start(type) {
    const { call } = await this.rest("", { type });
    this.call = call;
    this.state = "outgoing";
  }

  async accept() {
    this.state = "connecting";
    const { livekit } = await this.rest(`/${this.call.id}/accept`);
    await this.join(livekit);
  }

  // What a page does that finds a call going on in the room that it opens.
  async rejoin() {
    const answer = await fetch(`${this.url}/v1/chat/rooms/${this.roomId}/calls/active`, {
      headers: { Authorization: `Bearer ${this.token}` },
    });
    this.call = (await answer.json()).call;
    const { livekit } = await this.rest(`/${this.call.id}/token`);
    await this.join(livekit);
  }

  decline() {
    return this.rest(`/${this.call.id}/decline`);
  }

  hangUp(reason) {
    return this.rest(`/${this.call.id}/end`, reason ? { reason } : {});
  }

  async join({ url, token }) {
    this.state = "connecting";
    this.media = new LivekitClient.Room();
    this.media.on("trackSubscribed", (track, publication, participant) => {
      const element = track.attach();
      document.body.append(element);
      if (track.kind === "video") this.videos.set(participant.identity, element);
    });
    await this.media.connect(url, token);
    await this.media.localParticipant.setMicrophoneEnabled(true);
    if (this.call.type === "video") await this.media.localParticipant.setCameraEnabled(true);
    this.state = "active";
  }

  async over() {
    this.state = "ended";
    const media = this.media;
    this.media = null;
    this.videos.clear();
    await media?.disconnect();
  }

  // How many frames of this person have been shown so far.
  frames(userId) {
    return this.videos.get(userId)?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
  }
}
