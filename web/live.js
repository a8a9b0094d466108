// The stream of what happens now: server-sent events, read through fetch() since EventSource sends
// no token. Begins again by itself, for ever; rests while nobody looks, so that pages in the
// background do not use up the few connections a browser has for one host.
import {authorize, headers, url} from './api.js';

const SILENCE_MS = 12_000; // events come every second
const FIRST_RETRY_MS = 1000, LAST_RETRY_MS = 10_000;

/**
 * state: 'connecting', 'live', 'lost', 'dry' (it is there and has no news: its store is away), 'resting',
 * 'barred' (no token) or 'absent' (a server without a stream).
 */
export const live = {state: 'connecting', since: Date.now(), heard: null, now: null, gpus: null};

const listeners = new Map(); // event -> set of functions
let stop = null;
let retry = FIRST_RETRY_MS, lastId = '', timer = 0;

/** Calls back with the data of an event, or the state with 'state'. Returns how to end that. */
export function on(event, listener) {
    if (!listeners.has(event)) {
        listeners.set(event, new Set());
    }
    listeners.get(event).add(listener);
    return () => listeners.get(event).delete(listener);
}

function tell(event, data) {
    listeners.get(event)?.forEach((f) => f(data));
}

function become(state) {
    if (live.state !== state) {
        Object.assign(live, {state, since: Date.now()});
    }
    tell('state', live);
}

function take(event, data) {
    let value;
    try {
        value = JSON.parse(data);
    } catch {
        return; // cut off in the middle
    }
    live.heard = Date.now();
    if (event === 'now' || event === 'gpus') {
        live[event] = value.items ?? value;
    }
    retry = FIRST_RETRY_MS;
    become('live');
    tell(event, live[event] ?? value);
}

/** Takes lines of a stream apart; calls dispatch(event, data). */
export function parser(dispatch) {
    let event = '', data = [], rest = '';
    return (text) => {
        const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
        rest = lines.pop();
        for (const line of lines) {
            const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
            if (line === '') {
                if (data.length > 0) {
                    dispatch(event || 'message', data.join('\n'));
                }
                event = '';
                data = [];
            } else if (name === 'event') {
                event = value;
            } else if (name === 'data') {
                data.push(value);
            } else if (name === 'id') {
                lastId = value;
            } else if (name === 'retry' && /^\d+$/.test(value)) {
                retry = Math.min(LAST_RETRY_MS, Number(value));
            }
        }
    };
}

setInterval(() => live.state === 'live' && Date.now() - live.heard > SILENCE_MS && become('dry'), 1000);

async function listen(controller) {
    let quiet = setTimeout(() => controller.abort(), SILENCE_MS);
    const heard = () => {
        clearTimeout(quiet);
        quiet = setTimeout(() => controller.abort(), SILENCE_MS);
    };
    try {
        const answer = await fetch(url('events'), {cache: 'no-store', signal: controller.signal,
            headers: {Accept: 'text/event-stream', ...headers(),
                ...(lastId ? {'Last-Event-ID': lastId} : {})}});
        if (!answer.ok) {
            await answer.body?.cancel();
            return answer.status;
        }
        const feed = parser(take), decoder = new TextDecoder();
        for (const reader = answer.body.getReader(); ;) {
            const {done, value} = await reader.read();
            heard();
            if (done) {
                return 0;
            }
            feed(decoder.decode(value, {stream: true}));
        }
    } catch {
        return 0; // away, or silent for too long
    } finally {
        clearTimeout(quiet);
    }
}

async function run(controller) {
    const status = await listen(controller);
    if (stop !== controller) {
        return; // it rests, or was begun again
    }
    if (status === 401) {
        become('barred');
        if (await authorize(Boolean(headers().Authorization))) {
            begin();
        }
        return;
    }
    if (status === 404) {
        become('absent');
        timer = setTimeout(begin, 60_000);
        return;
    }
    become('lost');
    timer = setTimeout(begin, retry);
    retry = Math.min(LAST_RETRY_MS, retry * 1.7);
}

function end() {
    const running = stop;
    stop = null;
    clearTimeout(timer);
    running?.abort();
}

/** Begins, or tries again at once. */
export function begin() {
    end();
    stop = new AbortController();
    run(stop);
}

let hiding = 0;
document.addEventListener('visibilitychange', () => {
    clearTimeout(hiding);
    if (document.hidden) {
        hiding = setTimeout(() => {
            end();
            become('resting');
        }, 15_000);
    } else if (live.state === 'resting') {
        become('connecting');
        begin();
    }
});

// A page that the browser keeps for "back" must not keep its connection.
addEventListener('pagehide', () => {
    end();
    live.state = 'resting';
});
addEventListener('pageshow', (e) => {
    if (e.persisted && live.state === 'resting') {
        become('connecting');
        begin();
    }
});
