// What every place does alike: loads, says that it waits, says what went wrong and what to do, and
// looks again every half minute while somebody sees it.
import {Problem} from './api.js';
import {h, render} from './dom.js';
import {live} from './live.js';

const AGAIN_MS = 30_000;
const SLOW_MS = 1500;

const ADVICE = {
    0: 'See whether gtap runs and whether this machine reaches it. The page goes on by itself.',
    401: 'This gtap wants a token: reload the page and enter the one of its --api-token-file.',
    403: 'This may only be done from the host that gtap runs on, or with a token.',
    404: 'It may have been deleted by retention, or the address is of another store.',
    429: 'Too many questions at once; it is tried again in a moment.',
    503: 'gtap is busy or its store is away; it is tried again in a moment. Health says more.',
};

export function problemBox(e, again) {
    const advice = e.status === 400 ? 'Change the range or the filters above.'
        : ADVICE[e.status] ?? 'Try again; if it stays, the log of gtap says more.';
    return h('div.problem', {role: 'alert'}, h('h2', null, e.title ?? 'Something went wrong here'),
        e.detail && e.detail !== e.title && h('p', null, e.detail), h('p', null, advice),
        h('button', {type: 'button', on: {click: again}, 'data-key': 'again'}, 'Try again'));
}

/**
 * Loads into a node. load(signal) gets and shows; it is called again on demand and from time to time.
 * Problems are shown over what was there, which stays, greyed.
 */
export function loader(node, load) {
    const errors = h('div.errors'), body = h('div.body');
    let controller = null, timer = 0, slow = 0, shown = false;
    node.replaceChildren(errors, body);

    const skeleton = () => h('p.loading', {role: 'status'}, 'Loading\u2026');
    async function run() {
        controller?.abort();
        clearTimeout(timer);
        const mine = controller = new AbortController();
        clearTimeout(slow);
        slow = setTimeout(() => !errors.firstChild && errors.replaceChildren(
            h('p.note', {role: 'status'}, 'Still waiting for gtap to answer\u2026')), SLOW_MS);
        node.setAttribute('aria-busy', 'true');
        if (!shown) {
            body.replaceChildren(skeleton());
        }
        try {
            await load(mine.signal, body);
            if (mine.signal.aborted) {
                return;
            }
            shown = true;
            errors.replaceChildren();
            node.classList.remove('stale');
        } catch (e) {
            if (mine.signal.aborted) {
                return;
            }
            if (!(e instanceof Problem)) {
                console.error(e);
            }
            if (!shown) {
                body.replaceChildren();
            }
            node.classList.toggle('stale', shown);
            render(errors, problemBox(e instanceof Problem ? e
                : new Problem(-1, 'This page failed', String(e)), run));
        } finally {
            if (controller === mine) {
                clearTimeout(slow);
                node.removeAttribute('aria-busy');
                timer = setTimeout(again, AGAIN_MS);
            }
        }
    }
    function again() {
        if (document.hidden || live.state === 'lost') {
            timer = setTimeout(again, AGAIN_MS);
            return;
        }
        run();
    }
    const seenAgain = () => !document.hidden && live.state !== 'lost' && run();
    document.addEventListener('visibilitychange', seenAgain);
    return {
        run,
        end() {
            document.removeEventListener('visibilitychange', seenAgain);
            controller?.abort();
            clearTimeout(timer);
            clearTimeout(slow);
        },
    };
}

