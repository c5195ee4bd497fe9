"use strict";
// Tables: a click on a heading sorts by it; a second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, index) => heading.querySelector("button").addEventListener("click", () => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    headings.forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[index].dataset.value ?? row.cells[index].textContent;
    const isText = heading.classList.contains("text");
    const number = (row) => value(row) === "" ? Infinity : Number(value(row));
    const order = (a, b) => isText ? value(a).localeCompare(value(b), undefined, { numeric: true }) : number(a) - number(b);
    const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? 1 : -1) * (order(a, b) || 0));
    table.tBodies[0].append(...rows);
  }));
}

// Sliders: drag the handle, or use the arrow keys on it; + and - zoom.
for (const slider of document.querySelectorAll(".slider")) {
  const stage = slider.querySelector(".stage"), view = slider.querySelector(".view");
  const handle = slider.querySelector(".handle"), buttons = [...slider.querySelectorAll("[data-zoom]")];
  const sides = { left: slider.querySelector("img.before"), right: slider.querySelector("img.after") };
  const pictures = JSON.parse(slider.querySelector("script[type='application/json']").textContent);

  const move = (share) => {
    const percent = Math.round(1000 * Math.min(1, Math.max(0, share))) / 10;
    stage.style.setProperty("--at", percent + "%");
    handle.setAttribute("aria-valuenow", percent);
    handle.setAttribute("aria-valuetext", Math.round(percent) + " % from the left");
  };
  const toPointer = (event) => {
    const box = stage.getBoundingClientRect();
    move((event.clientX - box.left) / box.width);
  };
  handle.addEventListener("pointerdown", (event) => { handle.setPointerCapture(event.pointerId); handle.focus(); event.preventDefault(); });
  handle.addEventListener("pointermove", (event) => { if (handle.hasPointerCapture(event.pointerId)) toPointer(event); });
  stage.addEventListener("click", (event) => { if (event.target !== handle) toPointer(event); });

  let zoomed = 0;
  const zoom = (index) => {
    zoomed = Math.min(buttons.length - 1, Math.max(0, index));
    const factor = Number(buttons[zoomed].dataset.zoom);
    const middle = [(view.scrollLeft + view.clientWidth / 2) / stage.offsetWidth, (view.scrollTop + view.clientHeight / 2) / stage.offsetHeight];
    stage.style.width = factor ? factor * sides.left.naturalWidth / window.devicePixelRatio + "px" : "";
    stage.style.imageRendering = factor > 1 ? "pixelated" : "auto";
    view.scrollTo(middle[0] * stage.offsetWidth - view.clientWidth / 2, middle[1] * stage.offsetHeight - view.clientHeight / 2);
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", at === zoomed));
  };
  buttons.forEach((button, index) => button.addEventListener("click", () => zoom(index)));
  handle.addEventListener("keydown", (event) => {
    const now = Number(handle.getAttribute("aria-valuenow")) / 100;
    const goals = { ArrowLeft: now - .02, ArrowRight: now + .02, PageDown: now - .1, PageUp: now + .1, Home: 0, End: 1 };
    if (event.key in goals) move(goals[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(zoomed + 1);
    else if (event.key === "-") zoom(zoomed - 1);
    else return;
    event.preventDefault();
  });
  for (const select of slider.querySelectorAll("select")) {
    const show = () => {
      const picture = pictures[Number(select.value)], image = sides[select.name];
      image.src = picture.data;
      image.alt = picture.label;
    };
    select.addEventListener("change", show);
    show();
  }
}
