// For workers: without this, Vite up to 7 writes them in a form that cannot load code later.
export default { worker: { format: 'es' } };
