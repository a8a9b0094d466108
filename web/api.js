// The HTTP API: the bearer token, answers that have not changed, errors that say what to do.

const BASE = new URL('api/v1/', document.baseURI);
const TOKEN = 'gtap.token';
const CACHE_MAX = 60;
const PATIENCE_MS = 30_000;

const cache = new Map(); // URL -> {etag, body}, the oldest first
let askToken = null; // () -> promise of a token or null
let asking = null;

/** What went wrong, in words: status 0 when no answer came. */
export class Problem extends Error {
    constructor(status, title, detail, parameter) {
        super(detail || title);
        Object.assign(this, {status, title, detail, parameter});
    }
}

export const onToken = (ask) => {
    askToken = ask;
};

export function headers() {
    const token = sessionStorage.getItem(TOKEN);
    return token ? {Authorization: `Bearer ${token}`} : {};
}

/** Asks for a token, once however many wait for it. Whether there is one now. */
export async function authorize(failed) {
    asking ??= askToken(failed).finally(() => {
        asking = null;
    });
    const token = await asking;
    if (token) {
        sessionStorage.setItem(TOKEN, token);
    }
    return Boolean(token);
}

export function url(path, params = {}) {
    const u = new URL(path, BASE);
    for (const [name, value] of Object.entries(params)) {
        for (const v of [value].flat()) {
            if (v !== null && v !== undefined && v !== '') {
                u.searchParams.append(name, v);
            }
        }
    }
    return u.href;
}

async function problem(answer) {
    let p = {};
    try {
        p = await answer.json();
    } catch {
        // a proxy's page: the status has to do
    }
    const title = p.title ?? p.error?.code ?? `The answer was ${answer.status} ${answer.statusText}`;
    return new Problem(answer.status, title, p.detail ?? p.error?.message ?? '', p.parameter);
}

// fetch() that gives up after a while and says which of the two it was.
async function ask(href, options, signal) {
    const limit = AbortSignal.timeout(PATIENCE_MS);
    try {
        return await fetch(href, {cache: 'no-store', ...options,
            signal: signal ? AbortSignal.any([signal, limit]) : limit});
    } catch (e) {
        if (signal?.aborted) {
            throw e; // nobody waits for it any more
        }
        const why = limit.aborted ? 'gtap has not answered within 30 s'
            : 'gtap cannot be reached at this address';
        throw new Problem(0, why, `${why}. See whether it runs, then try again.`);
    }
}

const pause = (ms, signal) => new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        fail(signal.reason);
    }, {once: true});
});

async function answered(href, options, signal) {
    for (let attempt = 0; ; attempt++) {
        const sent = {...options, headers: {...options.headers, ...headers()}};
        const answer = await ask(href, sent, signal);
        if (answer.status === 401 && attempt < 3 && await authorize(Boolean(sent.headers.Authorization))) {
            continue;
        }
        if (answer.status === 503 && attempt < 2) { // it is busy, and says for how long
            await pause(1000 * Math.min(5, Number(answer.headers.get('Retry-After')) || 1), signal);
            continue;
        }
        return answer;
    }
}

function keep(href, answer, body) {
    const etag = answer.headers.get('ETag');
    cache.delete(href);
    if (etag) {
        cache.set(href, {etag, body});
    }
    if (cache.size > CACHE_MAX) {
        cache.delete(cache.keys().next().value);
    }
}

/** A GET. The very same object as before when nothing has changed. Throws Problem, AbortError. */
export async function get(path, params, signal) {
    const href = url(path, params);
    const known = cache.get(href);
    const answer = await answered(href,
        {headers: known ? {'If-None-Match': known.etag} : {}}, signal);
    if (answer.status === 304 && known) {
        return known.body;
    }
    if (!answer.ok) {
        throw await problem(answer);
    }
    const body = await answer.json();
    keep(href, answer, body);
    return body;
}

export async function post(path, body, signal) {
    const answer = await answered(url(path), {method: 'POST', body: JSON.stringify(body),
        headers: {'Content-Type': 'application/json'}}, signal);
    if (!answer.ok) {
        throw await problem(answer);
    }
    return answer.json();
}
