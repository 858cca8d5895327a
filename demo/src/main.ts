import { Shell } from './shell.ts';

void new Shell().show();
