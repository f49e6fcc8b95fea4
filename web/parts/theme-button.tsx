import { useState } from 'preact/hooks';

/** Changes between light and dark; at first, the theme is the system's. */
export function ThemeButton() {
  const [dark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  const change = () => {
    document.documentElement.dataset['theme'] = dark ? 'light' : 'dark';
    setDark(!dark);
  };
  return (
    <button
      type="button"
      onClick={change}
      aria-label={dark ? 'Light theme' : 'Dark theme'}
      title={dark ? 'Light theme' : 'Dark theme'}
    >
      {dark ? '☀' : '☾'}
    </button>
  );
}
