// The user: opens a Connect Link in headless Chromium and approves at the provider.
import { chromium } from 'playwright-core';

export async function startPerson({ executablePath, app, base }) {
  // Chromium's own sandbox does not work for root, which continuous integration often is.
  const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
  return {
    close: () => browser.close(),
    // Returns the parameters with which the person comes back to the app.
    async approve(link, login) {
      if (new URL(link).origin !== new URL(base).origin) throw new Error(`the link leads elsewhere: ${link}`);
      const context = await browser.newContext();
      try {
        // Logos lie outside.
        await context.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
        const page = await context.newPage();
        await page.goto(link);
        const onward = page.getByRole('button', { name: /^Continue to / });
        if (new URL(page.url()).origin === new URL(base).origin) await onward.click();
        await page.getByRole('button', { name: new RegExp(login) }).click();
        await page.waitForURL(`${app}/**`);
        return Object.fromEntries(new URL(page.url()).searchParams);
      } finally {
        await context.close();
      }
    },
  };
}
