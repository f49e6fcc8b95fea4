import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { readPalette } from './palette.ts';

/** The width of an element in CSS pixels. */
export function useWidth(element: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** The colours of the theme, also when it changes. */
export function usePalette(element: { readonly current: HTMLElement | null }) {
  const [palette, setPalette] = useState(() => readPalette(document.documentElement));
  useEffect(() => {
    const read = () => setPalette(readPalette(element.current ?? document.documentElement));
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', read);
    const observer = new MutationObserver(read);
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      dark.removeEventListener('change', read);
      observer.disconnect();
    };
  }, []);
  return palette;
}
