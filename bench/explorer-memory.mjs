import { readFileSync } from 'node:fs';

/** What the process of a page holds, in MiB: proportional and resident set size. The page must be the only one open. */
export async function processMemory(browser, page) {
  // What nobody holds any more should not count.
  const pageSession = await page.context().newCDPSession(page);
  await pageSession.send('HeapProfiler.collectGarbage');
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const sizes = processInfo
    .filter(({ type }) => type === 'renderer')
    .map(({ id }) => {
      const text = readFileSync(`/proc/${id}/smaps_rollup`, 'utf8');
      return ['Pss', 'Rss'].map(
        (name) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) / 1024,
      );
    });
  // Chromium keeps a spare process, which is small.
  return sizes.reduce((a, b) => (b[0] > a[0] ? b : a));
}
