// The line to the server: reconnects with growing, jittered pauses and answers its heartbeats.

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 8_000;
const SILENCE_MS_MAX = 15_000;
const FINAL_CODES = { 4401: "Your session has ended. Sign in again.", 4403: "Your account may not see this desk." };

export class Line {
  /** `onState(name, detail)`: connecting, live, waiting (detail: ms to the next try) or ended (detail: why). */
  constructor({ url, onMessage, onState, stillAllowed }) {
    Object.assign(this, { url, onMessage, onState, stillAllowed, attempt: 0, socket: null, timer: 0, heardAt: 0 });
    setInterval(() => this.checkSilence(), 1_000);
  }

  open() {
    clearTimeout(this.timer);
    this.onState("connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onmessage = (event) => { for (const message of [JSON.parse(event.data)].flat()) this.heard(message); };
    socket.onclose = (event) => { if (this.socket === socket) this.closed(event.code); };
  }

  retryNow() {
    if (this.socket?.readyState !== WebSocket.OPEN) this.open();
  }

  /** Say something; false where the line is not open. */
  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  heard(message) {
    this.heardAt = performance.now();
    if (message.type === "hello") {
      this.attempt = 0;
      this.onState("live");
    }
    if (message.type === "ping") this.send({ action: "pong", at_us: message.at_us });
    this.onMessage(message);
  }

  async closed(code) {
    this.socket = null;
    if (FINAL_CODES[code]) return this.onState("ended", FINAL_CODES[code]);
    this.attempt += 1;
    const pause = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (this.attempt - 1)) * (0.75 + Math.random() / 2);
    this.onState("waiting", pause);
    this.timer = setTimeout(() => this.open(), pause);
    // A refused handshake looks like any lost line, so ask over HTTP whether trying on makes sense.
    if (this.attempt % 3 === 0 && !(await this.stillAllowed())) {
      clearTimeout(this.timer);
      this.onState("ended", FINAL_CODES[4401]);
    }
  }

  checkSilence() {
    const open = this.socket?.readyState === WebSocket.OPEN;
    if (open && performance.now() - this.heardAt > SILENCE_MS_MAX) this.socket.close(4408);
  }
}
