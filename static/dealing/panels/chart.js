// One chart: a symbol's price with its fills, what of it nobody covers, or the desk's profit over time.
import { el } from "../format.js";
import { LineSeries, LineStyle, createChart, createSeriesMarkers } from "../../vendor/lightweight-charts/lightweight-charts.mjs";

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// What each choice shows: series by name, in a colour and a line of its own, so that colour is not needed.
const SHOWN = {
  price: (symbol) => [{ name: `price:${symbol}`, title: symbol, colour: "--info", style: LineStyle.Solid }],
  exposure: (symbol) => [{ name: `exposure:${symbol}`, title: `${symbol} uncovered, lots`, colour: "--warn", style: LineStyle.Solid }],
  profit: () => [
    { name: "floating", title: "Floating", colour: "--info", style: LineStyle.Solid },
    { name: "realised", title: "Realised", colour: "--warn", style: LineStyle.Dashed },
  ],
};

export class Chart {
  /** Looks like a grid to the keys: there is no row to choose, j and k go to the next symbol. */
  constructor({ host, store, history }) {
    Object.assign(this, { host, store, history, symbol: null, cursor: null, chosen: null, drawn: new Map() });
    this.select = document.getElementById("chart-of");
    this.frame = el("div", "chart-frame");
    this.note = el("p", "chart-note muted");
    const link = el("a", "chart-credit", "Charts by TradingView");
    Object.assign(link, { href: "https://www.tradingview.com/", target: "_blank", rel: "noopener noreferrer" });
    host.classList.add("chart");
    host.append(this.frame, this.note, link);
    this.frame.setAttribute("role", "img");
    this.chart = createChart(this.frame, { autoSize: true, layout: { attributionLogo: false } });
    this.select.addEventListener("change", () => this.begin());
    new MutationObserver(() => this.dress()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    history.watch(() => this.paint());
    store.watch("deals", () => this.mark());
    this.dress();
    this.begin();
  }

  dress() {
    this.chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: token("--muted"), fontFamily: token("--sans"), fontSize: 11 },
      grid: { vertLines: { color: token("--line") }, horzLines: { color: token("--line") } },
      rightPriceScale: { borderColor: token("--line") }, timeScale: { borderColor: token("--line"), timeVisible: true, secondsVisible: true },
    });
    for (const { series, spec } of this.drawn.values()) series.applyOptions({ color: token(spec.colour) });
    this.mark();
  }

  follow(symbol) {
    if (!symbol || symbol === this.symbol) return;
    this.symbol = symbol;
    this.begin();
  }

  begin() {
    for (const { series } of this.drawn.values()) this.chart.removeSeries(series);
    this.drawn.clear();
    const kind = this.select.value;
    if (kind === "profit" || this.symbol) {
      for (const spec of SHOWN[kind](this.symbol)) {
        const digits = this.digits(kind);
        const series = this.chart.addSeries(LineSeries, { color: token(spec.colour), lineWidth: 2, lineStyle: spec.style, title: spec.title, priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
        this.drawn.set(spec.name, { series, spec, last: 0, markers: createSeriesMarkers(series, []) });
      }
    }
    this.paint();
    this.mark();
    this.chart.timeScale().fitContent();
  }

  digits(kind) {
    const mark = kind === "price" ? this.store.row("exposure", this.symbol)?.mark : null;
    return mark?.split(".")[1]?.length ?? 2;
  }

  /** Add what came since; all of it where the points were moved. */
  paint() {
    if (!this.host.isConnected || document.hidden) return;
    let points = 0;
    for (const [name, line] of this.drawn) {
      const fresh = this.history.of(name, line.last || undefined);
      points += line.last || fresh.length;
      if (!line.last) line.series.setData(fresh);
      else for (const point of fresh) line.series.update(point);
      line.last = fresh.at(-1)?.time ?? line.last;
    }
    const kind = this.select.value;
    this.note.textContent = points ? "" : kind !== "profit" && !this.symbol ? "Choose a symbol in Exposure or Quotes." : "No point yet: a line grows here second by second.";
    const last = [...this.drawn.values()].map(({ spec }) => `${spec.title}: ${this.history.last(spec.name) ?? "nothing yet"}`).join(", ");
    this.frame.setAttribute("aria-label", last || "Empty chart");
  }

  /** The fills of the symbol as arrows on its price. */
  mark() {
    const line = this.drawn.get(`price:${this.symbol}`);
    if (!line) return;
    const first = this.history.of(`price:${this.symbol}`)[0]?.time ?? Infinity;
    const fills = [...this.store.rows("deals").values()].filter((row) => row.symbol === this.symbol && row.stands && row.at / 1e6 >= first);
    line.markers.setMarkers(fills.sort((one, other) => one.at - other.at).map((row) => ({
      time: Math.floor(row.at / 1e6), position: row.side === "buy" ? "belowBar" : "aboveBar", shape: row.side === "buy" ? "arrowUp" : "arrowDown",
      color: token(row.side === "buy" ? "--buy" : "--sell"), text: String(row.quantity),
    })));
  }

  move(step) {
    const symbols = [...this.store.rows("exposure").keys()].sort();
    const at = symbols.indexOf(this.symbol);
    this.follow(symbols[Math.min(symbols.length - 1, Math.max(0, at + step))]);
  }

  activate() {}

  filter() {}
}

export const chart = ({ host, store, history }) => new Chart({ host, store, history });
