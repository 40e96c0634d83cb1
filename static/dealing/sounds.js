// Sounds of alerts: short tones, no files. Off until a dealer switches them on (browsers want a click first).
const TONES = { serious: [[520, 0.16], [390, 0.24]], warning: [[660, 0.12], [660, 0.12]], info: [[880, 0.08]] };
const GAP_S = 0.06;
const VOLUME = 0.12;

export class Sounds {
  constructor({ button, store, isOn, onSwitch }) {
    Object.assign(this, { button, store, isOn, known: null });
    button.addEventListener("click", () => { this.turn(!this.isOn); onSwitch(this.isOn); });
    store.watch("alerts", () => this.listen());
    this.turn(isOn);
  }

  turn(isOn) {
    this.isOn = isOn;
    this.button.setAttribute("aria-pressed", String(isOn));
    this.button.title = isOn ? "Sounds are on (m)" : "Sounds are off (m)";
    this.button.firstChild.textContent = isOn ? "♪" : "♪̸";
  }

  /** Only what is new since the last look is heard, the loudest of it. */
  listen() {
    const rows = [...this.store.rows("alerts").values()];
    const fresh = this.known ? rows.filter((row) => !this.known.has(row.key)) : [];
    this.known = new Set(rows.map((row) => row.key));
    document.title = document.title.replace(/^(\(\d+\) )?/, rows.length ? `(${rows.length}) ` : "");
    const loudest = ["serious", "warning", "info"].find((tone) => fresh.some((row) => row.tone === tone));
    if (loudest && this.isOn) this.play(TONES[loudest]);
  }

  play(tones) {
    this.context ??= new AudioContext();
    let at = this.context.currentTime;
    for (const [hertz, seconds] of tones) {
      const tone = this.context.createOscillator();
      const gain = this.context.createGain();
      tone.frequency.value = hertz;
      gain.gain.value = VOLUME;
      tone.connect(gain).connect(this.context.destination);
      tone.start(at);
      tone.stop(at + seconds);
      at += seconds + GAP_S;
    }
  }
}
