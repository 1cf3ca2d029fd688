"use strict";
(() => {
  const tip = document.getElementById("tip");
  const show = (event, text) => {
    tip.textContent = text;
    tip.style.display = "block";
    const wide = tip.offsetWidth, tall = tip.offsetHeight;
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - wide - 8)) + "px";
    tip.style.top = (event.clientY + 18 + tall > innerHeight ? event.clientY - tall - 10 : event.clientY + 18) + "px";
  };
  const hide = () => { tip.style.display = "none"; };
  const number = (value) => Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US") : String(+value.toPrecision(4));

  // Titles become quick tooltips; the words stay on the element for assistive technology.
  for (const part of document.querySelectorAll("svg .tip")) {
    const title = part.querySelector("title");
    if (!title) continue;
    part.dataset.tip = title.textContent;
    part.setAttribute("aria-label", title.textContent);
    title.remove();
  }

  const place = (svg, event) => {
    const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    return (event.clientX - box.left) * view.width / box.width;
  };
  for (const svg of document.querySelectorAll("svg.lines")) {
    const plot = JSON.parse(svg.dataset.plot);
    const back = ([low, high, from, to], px) => low + (px - from) / (to - from) * (high - low);
    const lines = [...svg.querySelectorAll("polyline")].map((line) => ({
      name: line.dataset.name, points: line.getAttribute("points").split(" ").map((pair) => pair.split(",").map(Number)),
    }));
    svg.addEventListener("mousemove", (event) => {
      const x = place(svg, event);
      if (x < plot.x[2] - 6 || x > plot.x[3] + 6) return hide();
      const rows = lines.map((line) => {
        const near = line.points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
        return line.name + " " + number(back(plot.y, near[1]));
      });
      const here = back(plot.x, x);
      show(event, svg.dataset.x + " " + number(svg.dataset.x === "step" ? Math.round(here) : here) + "\n" + rows.join("\n"));
    });
    svg.addEventListener("mouseleave", hide);
  }
  for (const svg of document.querySelectorAll("svg.locus")) {
    const [from, to, start, end] = svg.dataset.scale.split(" ").map(Number);
    const cursor = svg.querySelector(".cursor");
    svg.addEventListener("mousemove", (event) => {
      const x = place(svg, event);
      const inside = x >= from && x <= to;
      cursor.style.opacity = inside ? 0.6 : 0;
      if (!inside) return hide();
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      const base = Math.floor(start + (x - from) / (to - from) * (end - start)) + 1;
      const gene = event.target.closest(".tip");
      show(event, svg.dataset.seqid + ":" + base.toLocaleString("en-US") + (gene ? "\n" + gene.dataset.tip : ""));
    });
    svg.addEventListener("mouseleave", () => { cursor.style.opacity = 0; hide(); });
  }
  for (const part of document.querySelectorAll("svg:not(.locus) .tip")) {
    part.addEventListener("mousemove", (event) => show(event, part.dataset.tip));
    part.addEventListener("mouseleave", hide);
  }
  const button = document.querySelector("button.theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
