// What the page asks over HTTP: actions under an idempotency key, facts that are read when somebody looks at them.
const FACTS_MS = 2_000;
// Nobody is signed in, or somebody signed in anew since this page was loaded.
const ENDED = /^not_authenticated|CSRF/;

const token = () => document.querySelector("meta[name=csrf]").content;

const send = (method, url, body, headers = {}, more = {}) => fetch(url, {
  method, redirect: "manual", body: JSON.stringify(body),
  headers: { "Content-Type": "application/json", "X-CSRFToken": token(), ...headers }, ...more,
});

/** Do something once: {ok, state, text}. `key` stays the same when it is tried again. */
export const act = async (kind, body, key) => {
  let answer;
  try {
    answer = await send("POST", `/desk/actions/${kind}`, body, { "Idempotency-Key": key });
  } catch {
    return { ok: false, state: "lost", text: "The server did not answer. Try again: it is done once at most." };
  }
  const said = await answer.json().catch(() => ({}));
  if (ENDED.test(`${said.code} ${said.message}`)) return { ok: false, state: "refused", text: "Nothing was done: your session has ended. Sign in again, then load this page anew." };
  if (said.state) return { ok: said.state !== "refused", ...said };
  const field = said.field ? `${said.field}: ` : "";
  const text = said.message ? field + said.message : `The server answered ${answer.status}.`;
  return { ok: false, state: "refused", field: said.field, said: said.message, text };
};

// Also while the page goes: the browser finishes it.
export const saveLayout = (layout) => send("PUT", "/desk/layout", { layout }, {}, { keepalive: true }).catch(() => {});

/** JSON of an address of the desk, null where there is none. */
export const read = async (url) => {
  try {
    const answer = await fetch(url, { redirect: "manual" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
};

/** Reads the rows of panels that come from tables, while they are in sight, and gives them to the store. */
export class Facts {
  constructor({ store, isWanted }) {
    Object.assign(this, { store, isWanted, names: new Map(), seq: 0 });
    setInterval(() => this.readAll(), FACTS_MS);
  }

  /** `name()` says which facts belong to a panel now. */
  follow(panel, name) {
    this.names.set(panel, name);
    this.readOne(panel);
  }

  readAll() {
    if (document.hidden) return;
    for (const panel of this.names.keys()) if (this.isWanted(panel)) this.readOne(panel);
  }

  async readOne(panel) {
    const name = this.names.get(panel)();
    const rows = await read(`/desk/facts/${name}`);
    if (!rows || name !== this.names.get(panel)()) return;
    this.seq += 1;
    this.store.accept({ panel, seq: this.seq, snapshot: true, rows: Object.fromEntries(rows.map((row) => [row.key, row])) });
  }
}
