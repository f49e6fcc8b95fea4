/** Frames of each movement that is measured. */
const FRAMES = 120;

/** In the page, before its own scripts: notes when the map is drawn, and how long the task that draws takes. */
export function watchDraws() {
  const draws = [];
  Object.assign(globalThis, { draws });
  // Each drawing begins by setting the scale, and ends with the task that it is part of.
  const { setTransform } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.setTransform = function (...args) {
    const start = performance.now();
    queueMicrotask(() => draws.push({ start, work: performance.now() - start }));
    return setTransform.apply(this, args);
  };
}

/** Clicks a button, and waits for the frame behind the first drawing. Milliseconds. */
export function drawTimes(button) {
  return button.evaluate((element) => {
    globalThis.draws.length = 0;
    const start = performance.now();
    element.click();
    return new Promise((done) => {
      const look = () => {
        if (globalThis.draws.length === 0) requestAnimationFrame(look);
        else requestAnimationFrame(() => done(performance.now() - start));
      };
      requestAnimationFrame(look);
    });
  });
}

/** Zooms in, pans, and zooms out by a turn of the wheel in every frame. */
export async function frameTimes(one) {
  const measured = {};
  for (const [what, deltaX, deltaY] of [
    ['zooming in', 0, -60],
    ['panning', 40, 0],
    ['zooming out', 0, 60],
  ]) {
    measured[what] = await one.map.evaluate(
      (canvas, [x, y, frames]) =>
        new Promise((done) => {
          const { left, top, width } = canvas.getBoundingClientRect();
          const target = canvas.querySelector('canvas') ?? canvas;
          globalThis.draws.length = 0;
          const times = [];
          const step = (time) => {
            times.push(time);
            if (times.length > frames) {
              const deltas = times.slice(1).map((one, i) => one - times[i]);
              done({ deltas, works: globalThis.draws.map(({ work }) => work) });
              return;
            }
            const at = { clientX: left + width * 0.37, clientY: top + 60 };
            target.dispatchEvent(
              new WheelEvent('wheel', { deltaX: x, deltaY: y, bubbles: true, cancelable: true, ...at }),
            );
            requestAnimationFrame(step);
          };
          requestAnimationFrame(step);
        }),
      [deltaX, deltaY, FRAMES],
    );
  }
  return measured;
}

/** Scrolls a list by a good part of its height in every frame. */
export async function scrollTimes(one, name) {
  const grid = one.page.getByRole('grid', { name });
  await grid.locator('tr[data-row]').first().waitFor();
  return grid.evaluate(
    (table, frames) =>
      new Promise((done) => {
        const scroller = table.parentElement;
        const times = [];
        const works = [];
        const step = (time) => {
          times.push(time);
          if (times.length > frames) {
            done({ deltas: times.slice(1).map((one, i) => one - times[i]), works });
            return;
          }
          const start = performance.now();
          scroller.scrollTop += 170;
          // The list answers to the event, which comes before the next frame; its layout is asked for here.
          scroller.dispatchEvent(new Event('scroll'));
          setTimeout(() => {
            void scroller.offsetHeight;
            works.push(performance.now() - start);
          });
          requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      }),
    FRAMES,
  );
}
