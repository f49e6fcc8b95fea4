// Uses the built explorer in headless Chromium as its readers do.
// Usage: node scripts/check-explorer.mjs [SUBJECT…]; CHROMIUM names the browser if it is not on PATH.

import { Checks } from './checks.mjs';
import { findChromium, launchChromium } from './chromium.mjs';
import { checkExplorer } from './explorer/check.mjs';

const checks = new Checks();
const executablePath = findChromium();
if (executablePath === undefined) {
  checks.skip('explorer', 'Chromium is not installed (looked on PATH and at CHROMIUM)');
} else {
  const browser = await launchChromium(executablePath);
  try {
    await checkExplorer(browser, checks, process.argv.slice(2));
  } finally {
    await browser.close();
  }
}
checks.finish();
