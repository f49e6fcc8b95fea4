/** Whether this is `npm run test:long`, which tries longer and more. */
export const LONG =
  (import.meta as ImportMeta & { readonly env: { readonly MODE: string } }).env.MODE === 'long';
