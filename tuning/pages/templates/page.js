"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const shown = Object.fromEntries(figures.map((figure) => [figure.name, 0]));

  // The colours of a figure may be names of the page's own, which change with the scheme.
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const colored = (value) => {
    if (typeof value === "string") {
      const name = /^var\((--[a-z]+)\)$/.exec(value);
      return name ? color(name[1]) : value;
    }
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(colored);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, colored(inner)]));
  };

  const themed = (figure, width) => {
    const view = figure.views[shown[figure.name]];
    const data = figure.data.map((trace, place) => ({ ...trace, x: view ? view.x[place] : trace.x }));
    const narrow = width < 520;
    const layout = {
      ...figure.layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 13, color: color("--soft") },
      margin: { l: narrow ? 52 : 72, r: narrow ? 12 : 28, t: 16, b: 56 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      hoverlabel: { bgcolor: color("--card"), bordercolor: color("--line"), font: { color: color("--ink") } },
    };
    for (const name of ["xaxis", "yaxis"]) {
      const given = figure.layout[name] || {};
      const title = view && name === "xaxis" ? { text: view.title } : given.title;
      const colors = { gridcolor: color("--line"), linecolor: color("--line"), zerolinecolor: color("--line") };
      layout[name] = { automargin: true, ...colors, ...given, title };
    }
    if (narrow && layout.coloraxis) {
      layout.margin.b = 118;
      const colorbar = { ...layout.coloraxis.colorbar, orientation: "h", thickness: 10, y: -0.42, yanchor: "top" };
      layout.coloraxis = { ...layout.coloraxis, colorbar };
    }
    if (narrow) {
      for (const trace of data) if (trace.marker && trace.marker.showscale) trace.marker = { ...trace.marker, showscale: false };
    }
    return [colored(data), colored(layout)];
  };

  const draw = (figure, width) => {
    const place = document.getElementById("plot-" + figure.name);
    const [data, layout] = themed(figure, width || place.clientWidth);
    const size = { width: width || place.clientWidth, height: place.clientHeight };
    return Plotly.react(place, data, { ...layout, ...size }, { displaylogo: false, displayModeBar: false });
  };
  const drawAll = (width) => figures.forEach((figure) => draw(figure, width));

  document.querySelectorAll(".switch button").forEach((button) => {
    button.addEventListener("click", () => {
      shown[button.dataset.figure] = Number(button.dataset.view);
      for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
      draw(figures.find((figure) => figure.name === button.dataset.figure));
    });
  });

  // An empty cell is behind all others, whatever the order. Of 0.1 ± 0.02 the 0.1 counts.
  const value = (row, column, number) => {
    const text = row.cells[column].textContent.trim();
    const found = number ? parseFloat(text.replace(/,/g, "")) : text;
    return text === "-" || text === "" || Number.isNaN(found) ? null : found;
  };
  const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
  document.querySelectorAll("table.sortable").forEach((table) => {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const number = heading.classList.contains("number");
        const before = heading.getAttribute("aria-sort");
        const up = before ? before === "descending" : !number;
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows].map((row) => [value(row, column, number), row]);
        const known = rows.filter(([key]) => key !== null).sort(([one], [other]) => (up ? 1 : -1) * compare(one, other));
        table.tBodies[0].append(...[...known, ...rows.filter(([key]) => key === null)].map(([, row]) => row));
      });
    });
  });

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width && !root.classList.contains("printing")) drawAll();
    width = innerWidth;
  });

  // On paper: light colours, and figures no wider than the sheet.
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    document.querySelectorAll("#verdict details").forEach((details) => { details.open = true; });
    drawAll(640);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    drawAll();
  });

  // A page that is renewed while a search runs comes back at the same place.
  const renewed = Number(root.dataset.renewed);
  const key = "scroll:" + location.pathname;
  const kept = sessionStorage.getItem(key);
  if (kept !== null) {
    sessionStorage.removeItem(key);
    scrollTo(0, Number(kept));
  }
  if (renewed) {
    let touched = 0;
    for (const event of ["pointermove", "keydown", "wheel"]) addEventListener(event, () => { touched = Date.now(); }, { passive: true });
    const again = () => {
      if (document.hidden || Date.now() - touched < 5000) return void setTimeout(again, 1000);
      sessionStorage.setItem(key, String(scrollY));
      location.reload();
    };
    setTimeout(again, renewed * 1000);
  }
})();
