// Health: can one believe the numbers? Inputs, how far behind, what came late, what was refused.
import {get} from './api.js';
import {h, render, table} from './dom.js';
import * as f from './format.js';
import {live, on} from './live.js';
import {loader} from './place.js';
import {state} from './router.js';

export const title = 'Health';

const seconds = (text, at) => text ? (at - f.ms(text)) / 1000 : null;

function lamp(good, words) {
    return h(`span.lamp.${good ? 'good' : 'bad'}`, null, h('span', {'aria-hidden': 'true'}, good ? '\u2713 ' : '! '), words);
}

function verdict(s) {
    return h('section.verdict', null, h('h2', null, s.serving_only && s.ready ? lamp(true, 'The store can be read')
        : s.ready ? lamp(true, 'Records come in and are stored')
        : lamp(false, 'Not everything works')),
    s.reasons?.length > 0 && h('ul', null, s.reasons.map((r) => h('li', null, r))));
}

function fact(name, value, note) {
    return h('div', null, h('dt', null, name), h('dd', null, value, note && h('span.hint', null, ` ${note}`)));
}

function facts(s, n, tz) {
    const lag = n?.behind_seconds ?? s.behind_seconds ?? null;
    return h('dl.facts', null,
        fact('behind', lag === null ? f.DASH : f.duration(lag), lag === null ? 'nothing was read yet' : null),
        fact('final up to', s.final_until ? `${f.when(f.ms(s.final_until), tz)} ${f.zoneName(tz)}` : f.DASH,
            s.final_until ? `${f.duration(seconds(s.final_until, Date.now()))} ago` : 'nothing is final yet'),
        fact('still to be computed again', f.duration(s.settling_seconds)),
        fact('late', f.count(n?.late ?? s.counters?.late ?? null)),
        fact('dead letters', f.count(n?.dead_letters ?? s.stored?.dead_letters ?? s.counters?.dead_letters ?? null)),
        fact('up', f.duration(s.uptime_seconds)), fact('version', s.version ?? f.DASH), fact('store', s.store ?? f.DASH));
}

function inputs(s) {
    if (!s.inputs?.length) {
        return h('p.note', null, 'This process has no inputs: it shows a store that others write (gtap serve). '
            + 'Whether they run is said by their own pages.');
    }
    const reasons = new f.Reasons();
    const columns = [{label: 'input'}, {label: 'state'}, {label: 'records', num: true},
        {label: 'last read', num: true, wide: true}, {label: 'last error', wide: true}];
    const rows = s.inputs.map((i) => ({cells: [[i.name, !i.ok && i.last_error && h('div.narrow', null, i.last_error)], lamp(i.ok, i.ok ? i.ended ? 'at its end' : 'works' : 'fails'),
        f.count(i.records), i.age_seconds === null || i.age_seconds === undefined
            ? reasons.dash('never, or it is a file') : `${f.duration(i.age_seconds)} ago`, i.last_error || 'none']}));
    return h('div.tablebox', null, h('div.scroll', null, table({caption: 'Inputs', columns, rows})), reasons.notes());
}

const NUMBER_NAMES = (k) => k.replace(/_/g, ' ');

function counters(s) {
    const list = Object.entries(s.counters ?? {}).filter(([, v]) => typeof v === 'number');
    return list.length > 0 && h('details', {'data-key': 'counters'}, h('summary', null, 'Counters of this process'),
        h('dl.facts', null, list.map(([k, v]) => fact(NUMBER_NAMES(k), f.count(v)))));
}

function letter(l, i, tz) {
    return h('details.letter', {'data-key': `letter-${l.at}-${i}`},
        h('summary', null, h('time', {datetime: l.at}, f.when(f.ms(l.at), tz, true)), ` ${l.reason}`),
        h('p.small', null, `${l.origin ?? 'unknown origin'}${l.position !== null && l.position !== undefined
            ? `, at ${l.position}` : ''}`),
        h('pre', {tabindex: 0, 'aria-label': 'payload'}, l.payload ?? ''), l.truncated && h('p.small', null, 'The payload is cut off here; '
            + 'gtap export dead_letters has the whole.'));
}

function deadLetters() {
    let items = [], next = null;
    const more = h('button', {type: 'button', 'data-key': 'more-letters', on: {click: async () => {
        const page = await get('dead_letters', {limit: 20, cursor: next});
        items = [...items, ...page.items];
        next = page.next;
        show();
    }}}, 'More');
    const node = h('section.letters');
    const show = () => render(node, h('h2', null, 'Dead letters'), items.length === 0
        ? h('p.note', null, 'No record was refused.')
        : [h('p.note', null, 'Records that were refused, newest first, kept whole with the reason. Mend what sends them, then '
            + 'send them again.'), items.map((l, i) => letter(l, i, state().tz))], next && more);
    return {node, async load(signal) {
        const page = await get('dead_letters', {limit: 20}, signal);
        if (items.length > page.items.length && items[0]?.at === page.items[0]?.at) {
            return; // what "More" brought stays
        }
        items = page.items;
        next = page.next;
        show();
    }};
}

export function mount(root) {
    const top = h('div'), letters = deadLetters();
    let status = null;
    const show = () => status && render(top, verdict(status), facts(status, live.now, state().tz), inputs(status), counters(status));
    const loads = loader(root, async (signal, body) => {
        [status] = await Promise.all([get('status', {}, signal), letters.load(signal)]);
        show();
        if (!body.contains(top)) {
            body.replaceChildren(top, letters.node);
        }
    });
    const end = on('now', show);
    return {update: loads.run, end() {
        loads.end();
        end();
    }};
}
