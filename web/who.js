// Who: tenant, then model, then the requests themselves; and the page of one request.
import {get} from './api.js';
import * as costs from './costs.js';
import {h, render, table} from './dom.js';
import * as f from './format.js';
import {loader} from './place.js';
import * as request from './request.js';
import {FILTERS, filters, go, href, hrefTo, state} from './router.js';
import {nothing} from './teach.js';

export const title = 'Who';

const FILTER_TEXT = {all: 'all', unplaced: 'without a GPU', unpriced: 'without a price',
    late: 'that came late', open: 'not final'};
// The id of an event: a UUID, or one that an input made of where the record stood ("synthetic#...").
const EVENT_ID = /^([0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|\S+#\S+)$/i;

// What is looked at: a tenant's models, a model's requests...
function level(s) {
    if (s.filter !== 'all' || s.min !== '' || (s.tenant.length > 0 && s.model.length > 0)) {
        return 'request';
    }
    return s.tenant.length > 0 ? 'model' : 'tenant';
}

function crumbs(s) {
    const list = [['everybody', href({tenant: [], model: [], filter: 'all', min: '', q: '', id: ''})]];
    if (s.tenant.length > 0) {
        list.push([s.tenant.join(', '), href({model: [], filter: 'all', min: '', q: '', id: ''})]);
    }
    if (s.model.length > 0) {
        list.push([s.model.join(', '), href({filter: 'all', min: '', q: '', id: ''})]);
    }
    if (s.id) {
        list.push(['request', href({})]);
    }
    return h('nav.crumbs', {'aria-label': 'where you are'}, h('ol', null, list.map(([name, to], i) =>
        h('li', null, h('a', {href: to, 'data-key': `crumb-${i}`,
            'aria-current': i === list.length - 1 ? 'page' : null}, name)))));
}

function search(s, onType) {
    const input = h('input', {type: 'search', id: 'search', value: s.q, autocomplete: 'off', 'data-key': 'search',
        placeholder: 'a name, or the id of a request', on: {input: (e) => onType(e.target.value)}});
    const min = h('input', {type: 'text', inputmode: 'decimal', value: s.min, size: 8, 'data-key': 'min',
        placeholder: '0.00', pattern: '\\d{1,9}(\\.\\d{1,9})?', title: 'dollars, such as 0.05'});
    return h('form.controls', {role: 'search', on: {submit: (e) => {
        e.preventDefault();
        const q = input.value.trim();
        go(EVENT_ID.test(q) ? {id: q, q: ''} : {q, min: min.value.trim()});
    }}},
    h('label', null, 'search ', input),
    h('label', null, 'requests ', h('select', {value: s.filter, 'data-key': 'filter',
        on: {change: (e) => go({filter: e.target.value})}},
    FILTERS.map((x) => h('option', {value: x}, FILTER_TEXT[x])))),
    h('label', null, 'at least $ ', min),
    h('button', {type: 'submit', 'data-key': 'find'}, 'Find'),
    costs.chips({...s, tenant: [], model: []}, href));
}

// --- requests

const matches = (q) => {
    const words = q.toLowerCase();
    return (...texts) => words === '' || texts.some((t) => (t ?? '').toLowerCase().includes(words));
};

function marks(r) {
    return [!r.final && h('span.mark.provisional', null, 'provisional'), r.late && h('span.mark', null, 'late'),
        r.revision > 1 && h('span.mark', {title: 'settled again after late records'}, 'corrected')];
}

function costCell(r, reasons, exact, decimals) {
    const v = f.nano(r.cost_usd);
    if (v !== null) {
        return f.money(v, exact, exact ? 9 : decimals);
    }
    return reasons.dash(r.gpus?.length > 0 ? 'no price was known for its GPU'
        : 'it names no GPU, so it has no cost');
}

function requestTable(items, s, reasons) {
    const least = items.map((r) => f.nano(r.cost_usd) ?? 0n).reduce((a, b) => a > b ? a : b, 0n);
    const decimals = Math.min(9, f.decimalsFor(least, false) + 1);
    const columns = [{label: `start (${f.zoneName(s.tz)})`}, {label: 'model', wide: true}, {label: 'tenant', wide: true},
        {label: 'GPU', wide: true}, {label: 'in tok', num: true, wide: true},
        {label: 'out tok', num: true, wide: true}, {label: 'seconds', num: true}, {label: '$', num: true}];
    const rows = items.map((r) => ({cells: [
        [h('a', {href: href({id: r.event_id}), 'data-key': `r-${r.event_id}`},
            f.when(f.ms(r.start ?? r.ts), s.tz, true)), marks(r),
        h('span.narrow', null, `${r.model ?? f.DASH}, ${f.count(costs.tokens(r))} tok`)],
        r.model ?? reasons.dash('not said in its record'), r.tenant ?? reasons.dash('not said in its record'),
        r.gpus?.join(', ') || reasons.dash('it names no GPU, so it has no cost'),
        f.count(r.prompt_tokens), f.count(r.completion_tokens),
        r.latency_ms === null || r.latency_ms === undefined ? reasons.dash('not said in its record')
            : f.rate(r.latency_ms / 1000), costCell(r, reasons, s.exact === '1', decimals)]}));
    return table({caption: 'Requests, newest first', columns, rows, className: 'requests'});
}

function requestList() {
    let items = [], next = null, asked = null;
    const node = h('div'), more = h('button', {type: 'button', 'data-key': 'more'}, 'More');
    const ask = (s, cursor, signal) => get('requests', {...costs.range(s), ...filters(s),
        filter: s.filter, min_usd: s.min, limit: 50, cursor}, signal);
    const show = (s) => {
        const reasons = new f.Reasons(), match = matches(s.q);
        const found = items.filter((r) => match(r.model, r.tenant, r.request_id, r.event_id, r.host));
        render(node, found.length > 0 ? h('div.scroll', null, requestTable(found, s, reasons))
            : h('p.note', null, 'No request of those that are loaded fits the search.'),
        next && more, h('p.note', {role: 'status'}, `${f.plural(found.length, 'request')} shown${next ? ', there are more' : ''}.`),
        reasons.notes());
    };
    more.addEventListener('click', async () => {
        more.disabled = true;
        const s = asked;
        try {
            const page = await ask(s, next);
            if (s === asked) {
                items = [...items, ...page.items];
                next = page.next;
                show(state());
            }
        } catch (e) {
            more.after(h('p.bad', {role: 'alert'}, `${e.message} The button tries again.`));
        } finally {
            more.disabled = false;
        }
    });
    return {node, show, async load(s, signal) {
        const page = await ask(s, null, signal);
        const known = new Set(page.items.map((r) => r.event_id));
        const older = asked === s && items.some((r) => known.has(r.event_id)); // keeps what "More" brought
        items = older ? [...page.items, ...items.filter((r) => !known.has(r.event_id))] : page.items;
        next = older ? next : page.next;
        asked = s;
        show(s);
        return items.length;
    }};
}

// --- tenants and models

function costsBy(answer, s, dim, q) {
    const match = matches(q);
    return costs.costTable(answer, {dim, basis: s.basis, exact: s.exact === '1', match: (g) => match(g.name),
        caption: `${dim === 'tenant' ? 'Tenants' : 'Models'}, ${f.span(f.ms(answer.since), f.ms(answer.until), s.tz)}`,
        link: (g) => g.value === null ? null : href({[dim]: [g.value], q: ''})});
}

export function mount(root) {
    const top = h('div'), head = h('p.about'), box = h('div.tablebox'), list = requestList();
    const content = h('div', null, top, head, box);
    let answer = null, last = null, typing = 0;

    function typed(q) {
        clearTimeout(typing);
        typing = setTimeout(() => {
            go({q: q.trim()}, true);
        }, 150);
    }
    async function tables(s, dim, signal) {
        answer = await get('costs', {...costs.range(s), ...filters(s), by: dim, basis: s.basis,
            provisional: 'true'}, signal);
        if (answer.rows.length === 0) {
            head.textContent = '';
            render(box, await nothing(signal, hrefTo('who', {range: '7d'})));
            return;
        }
        head.textContent = costs.about(answer);
        costs.put(box, costsBy(answer, s, dim, s.q));
    }
    async function requests(s, signal) {
        const n = await list.load(s, signal);
        head.textContent = '';
        render(box, n > 0 ? list.node : await nothing(signal, hrefTo('who', {range: '7d'})));
    }
    const loads = loader(root, async (signal, body) => {
        const s = state(), at = s.id ? 'one' : level(s);
        const jobs = {one: () => request.load(box, s, signal), request: () => requests(s, signal),
            tenant: () => tables(s, 'tenant', signal), model: () => tables(s, 'model', signal)};
        await jobs[at]();
        if (last?.q === s.q || !top.contains(document.activeElement)) {
            render(top, crumbs(s), s.id ? null : search(s, typed));
        }
        last = s;
        if (s.id) {
            head.textContent = '';
        }
        if (content.parentNode !== body) {
            body.replaceChildren(content);
        }
    });
    return {
        update: loads.run,
        end() {
            loads.end();
            clearTimeout(typing);
        },
    };
}
