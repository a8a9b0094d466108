// Answers of /costs: what is asked, what they add up to, and the table that shows it.
import {h, render, table} from './dom.js';
import * as f from './format.js';
import {DIMS, fromTo, state} from './router.js';

const DAY = 86_400;
const STEP_SECONDS = {'5m': 300, '15m': 900, '1h': 3600, '1d': DAY};
const PHYSICAL = ['gpu', 'host', 'site'];
export const SERIES_MAX = 8;

/** since and until as the API takes them. */
export function range(s) {
    const exact = fromTo(s.range);
    if (exact) {
        const [since, until] = s.range.split('~');
        return {since, until, tz: s.tz};
    }
    if (s.range === 'today') {
        return {since: f.today(s.tz), tz: s.tz};
    }
    if (s.range === 'yesterday') {
        return {since: f.today(s.tz, 1), until: f.today(s.tz), tz: s.tz};
    }
    return {since: s.range, tz: s.tz};
}

export function rangeSeconds(s) {
    const exact = fromTo(s.range);
    if (exact) {
        return (exact[1] - exact[0]) / 1000;
    }
    const [, n, unit] = /^(\d+)([mhd])$/.exec(s.range) ?? [];
    return n ? n * {m: 60, h: 3600, d: DAY}[unit] : DAY;
}

/** The step that was asked for, or the finest that a chart can show. */
export function step(s) {
    const seconds = rangeSeconds(s);
    const fits = (name) => seconds / STEP_SECONDS[name] <= 400;
    if (s.step !== 'auto' && fits(s.step)) {
        return s.step;
    }
    return seconds <= 3 * 3600 ? '5m' : seconds <= DAY / 2 ? '15m' : seconds <= 8 * DAY ? '1h' : '1d';
}

export const stepMs = (name) => STEP_SECONDS[name] * 1000;

/** What a row costs on a basis: the loaded one includes its share of what idles. */
export function cost(row, basis) {
    return f.nano(basis === 'loaded' ? row.loaded_usd : row.cost_usd);
}

export const tokens = (row) => (row.prompt_tokens ?? 0) + (row.completion_tokens ?? 0);

export function nameOf(row, dim) {
    if (row.others) {
        return `(${f.plural(row.others, 'other')})`;
    }
    return row[dim] ?? '(none)';
}

/** Sums of rows, exact. */
export function add(rows, basis) {
    const total = {cost: 0n, requests: 0, prompt: 0n, completion: 0n, unpriced: 0};
    for (const r of rows) {
        total.cost += cost(r, basis) ?? 0n;
        total.requests += r.requests ?? 0;
        total.prompt += BigInt(r.prompt_tokens ?? 0);
        total.completion += BigInt(r.completion_tokens ?? 0);
        total.unpriced += r.unpriced_requests ?? 0;
    }
    return total;
}

/** Per million tokens, from sums: derived, and so a number. */
export function perMtok(v, n) {
    return n > 0n ? Number(v) / 1000 / Number(n) : null;
}

/** Rows by the name in a dimension, the dearest first, and the rows of each kind. */
export function split(answer, dim, basis) {
    const kinds = {usage: [], idle: [], unattributed: [], unplaced: []};
    answer.rows.forEach((r) => kinds[r.kind]?.push(r));
    const groups = new Map();
    for (const r of kinds.usage) {
        const key = r.others ? '\u0000others' : `=${r[dim] ?? '\u0000none'}`;
        if (!groups.has(key)) {
            groups.set(key, {key, name: nameOf(r, dim), value: r.others ? null : r[dim] ?? null,
                rows: []});
        }
        groups.get(key).rows.push(r);
    }
    const list = [...groups.values()].map((g) => ({...g, ...add(g.rows, basis)}));
    list.sort((a, b) => Boolean(a.value === null) - Boolean(b.value === null)
        || (a.cost === b.cost ? a.name.localeCompare(b.name) : a.cost < b.cost ? 1 : -1));
    return {kinds, groups: list};
}

const fixed = (total, pick, parts, unit) => f.shareOut(parts.map(pick), unit, f.round(total, unit));

// The columns of money: what requests, idle and unattributed time cost, and their sum, each shown
// so that it adds up, both down and across.
function amounts(groups, kinds, dim, basis, exact) {
    const physical = PHYSICAL.includes(dim) && basis === 'busy';
    const of = (kind, name) => f.sum(kinds[kind].filter((r) => nameOf(r, dim) === name)
        .map((r) => cost(r, basis)));
    const idle = add(kinds.idle, basis).cost, unattributed = add(kinds.unattributed, basis).cost;
    const used = f.sum(groups.map((g) => g.cost));
    const bill = used + idle + unattributed;
    const decimals = f.decimalsFor(bill, exact), unit = f.unitOf(decimals);
    const [usedShown, idleShown, unattributedShown] =
        f.shareOut([used, idle, unattributed], unit, f.round(bill, unit));
    const shares = (parts, total) => f.shareOut(parts, unit, total);
    const columns = [shares(groups.map((g) => g.cost), usedShown)];
    if (physical) {
        columns.push(shares(groups.map((g) => of('idle', g.name)), idleShown),
            shares(groups.map((g) => of('unattributed', g.name)), unattributedShown));
    }
    return {physical, decimals, columns, used, idle, unattributed, bill,
        shown: {used: usedShown, idle: idleShown, unattributed: unattributedShown}};
}

// GPUs that ran nothing have idle rows only: they belong into a table of GPUs all the same.
function withSilent(groups, kinds, dim) {
    const names = new Set(groups.map((g) => g.name));
    const more = [];
    for (const r of [...kinds.idle, ...kinds.unattributed]) {
        const name = nameOf(r, dim);
        if (!names.has(name)) {
            names.add(name);
            more.push({key: `=${name}`, name, value: r[dim] ?? null, rows: [], ...add([], 'busy')});
        }
    }
    return [...groups, ...more.sort((a, b) => a.name.localeCompare(b.name))];
}

function tokenColumns(groups, total) {
    const most = Number(total.prompt > total.completion ? total.prompt : total.completion);
    const {label, unit, decimals} = f.tokenUnit(most);
    const tenth = decimals > 0 ? unit / 10n : 1n;
    const column = (pick) => ({
        parts: fixed(pick(total), pick, groups, tenth).map((v) => f.grouped(v, decimals)),
        total: f.grouped(f.round(pick(total), tenth), decimals),
    });
    return {label, prompt: column((g) => g.prompt), completion: column((g) => g.completion)};
}

function rateCell(reasons, value, why) {
    return value === null || value === undefined ? reasons.dash(why) : f.rate(value);
}

function whyNoRate(g) {
    return g.prompt + g.completion === 0n ? 'no tokens, so no price a token'
        : 'a price is missing: see Prices';
}

// $/Mtok of a group, all and in and out. One row of the API says it; several (with a step) are added.
function rates(g, reasons, basis) {
    const all = g.rows.length === 1 ? g.rows[0].usd_per_mtok
        : perMtok(g.cost, g.prompt + g.completion);
    const [one] = g.rows;
    return [rateCell(reasons, all, whyNoRate(g)),
        rateCell(reasons, g.rows.length === 1 ? one.usd_per_mtok_in : null, whyNoRate(g)),
        rateCell(reasons, g.rows.length === 1 ? one.usd_per_mtok_out : null, whyNoRate(g))];
}

export const dimLabel = {model: 'model', tenant: 'tenant', gpu: 'GPU', host: 'host', site: 'site'};

function heads(dim, physical, label) {
    const num = {num: true};
    return [{label: dimLabel[dim]}, {label: 'requests', ...num, wide: true},
        {label: `in ${label}`, ...num, wide: true, title: 'prompt tokens'},
        {label: `out ${label}`, ...num, wide: true, title: 'completion tokens'},
        {label: physical ? '$ used' : '$', ...num},
        ...physical ? [{label: '$ idle', ...num, wide: true},
            {label: '$ unattributed', ...num, wide: true}, {label: '$ bill', ...num}] : [],
        {label: '$/Mtok', ...num, title: 'dollars for a million tokens'},
        {label: 'in', ...num, wide: true, title: '$ for a million prompt tokens'},
        {label: 'out', ...num, wide: true, title: '$ for a million completion tokens'}];
}

function footLines(total, money, t, basis, columns) {
    const {shown, decimals, physical} = money;
    const blank = (n) => Array.from({length: n}, () => '');
    const g = (v) => f.grouped(v, decimals);
    const line = (name, cells, attrs = {}) => ({cells: [name, ...cells], ...attrs});
    const all = total.prompt + total.completion;
    const busy = f.rate(perMtok(money.used, all)), loaded = f.rate(perMtok(money.bill, all));
    const counts = [f.count(total.requests), t.prompt.total, t.completion.total];
    const after = columns - 5 - (physical ? 3 : 0);
    if (physical) {
        const bill = shown.used + shown.idle + shown.unattributed;
        return [line('bill', [...counts, g(shown.used), g(shown.idle), g(shown.unattributed), g(bill),
            loaded, ...blank(after - 1)], {class: 'bill'})];
    }
    return [
        line(basis === 'loaded' ? 'requests, loaded' : 'requests',
            [...counts, g(shown.used), busy, ...blank(after - 1)], {class: 'sum'}),
        line('idle', [...blank(3), g(shown.idle), ...blank(after)], {class: 'quiet'}),
        line('unattributed', [...blank(3), g(shown.unattributed), ...blank(after)], {class: 'quiet'}),
        line('bill', [...blank(3), g(shown.used + shown.idle + shown.unattributed), loaded,
            ...blank(after - 1)], {class: 'bill'}),
    ];
}

// The numbers of a group's line behind its name.
function lineCells(g, i, money, t, reasons, basis) {
    const shown = money.columns.map((c) => c[i]);
    const all = money.physical ? [...shown, f.sum(shown)] : shown;
    const unknown = g.requests > 0 && g.unpriced === g.requests;
    return [f.count(g.requests), t.prompt.parts[i], t.completion.parts[i],
        ...all.map((v, n) => v === 0n && unknown && (n === 0 || n === all.length - 1)
            ? reasons.dash('a price is missing: see Prices') : f.grouped(v, money.decimals)),
        ...rates(g, reasons, basis)];
}

/** The table of an answer. link(group): where its name leads, or null; swatch(group): its colour. */
export function costTable(answer, {dim, basis, exact, caption, link, swatch, match}) {
    const found = split(answer, dim, basis);
    const groups = PHYSICAL.includes(dim) ? withSilent(found.groups, found.kinds, dim) : found.groups;
    const money = amounts(groups, found.kinds, dim, basis, exact);
    const total = add(found.kinds.usage, basis);
    const t = tokenColumns(groups, total), reasons = new f.Reasons();
    const columns = heads(dim, money.physical, t.label);
    const rows = groups.map((g, i) => {
        const to = link?.(g);
        const name = to ? h('a', {href: to, 'data-key': `row-${g.key}`}, g.name) : g.name;
        return {g, cells: [[swatch?.(g), name], ...lineCells(g, i, money, t, reasons, basis)]};
    });
    const shown = match ? rows.filter((r) => match(r.g)) : rows;
    const foot = footLines(total, money, t, basis, columns.length);
    return [h('div.scroll', null, table({caption, columns, rows: shown, foot, className: 'costs'})),
        shown.length < rows.length && h('p.note', null,
            `${f.plural(rows.length - shown.length, 'row')} not shown by the search; the sums are of all.`),
        h('div.under', null, adds(answer, money, state(), basis), reasons.notes(), notes(answer, found.kinds))];
}

// The sum is made here, of what is shown, and compared with what the server says the bill is. What a
// filter leaves of loaded cost has no total there: idle time is shared out over all that ran.
function adds(answer, money, s, basis) {
    const bill = f.nano(answer.totals.bill.cost_usd), whole = f.nano(answer.totals.unfiltered_bill.cost_usd);
    const filtered = DIMS.some((dim) => s[dim].length > 0);
    const of = filtered && whole !== null ? ` of the whole bill's $${f.money(whole, true)}` : '';
    if (filtered && basis === 'loaded') {
        return h('p.note', null, `the filter shows $${f.money(money.bill, true)}${of}`);
    }
    if (money.bill !== (bill ?? 0n)) {
        return h('p.bad', {role: 'alert'}, `These rows add up to $${f.money(money.bill, true)}, the bill is `
            + `$${f.money(bill ?? 0n, true)}: that is an error of gtap, please report it.`);
    }
    return h('p.adds', null, h('span.tick', {'aria-hidden': 'true'}, '\u2713 '),
        `adds up to ${filtered ? 'what the filter shows' : 'the bill'}: $${f.money(money.bill, true)}${of}`);
}

/** What has to be said about an answer: what can still change, what did, what is missing. */
export function notes(answer, kinds) {
    const list = [], until = f.ms(answer.final_until), tz = answer.tz ?? 'UTC';
    if (answer.provisional) {
        list.push(h('li.provisional', null, `Provisional: ${until
            ? `what is after ${f.when(until, tz)} ${f.zoneName(tz)} can still change.`
            : 'nothing of this is final yet.'}`));
    }
    if (answer.corrections > 0) {
        list.push(h('li', null, `${f.plural(answer.corrections, 'row')} of this range `
            + `${answer.corrections === 1 ? 'was' : 'were'} settled again after late records.`));
    }
    const unplaced = add(kinds.unplaced, 'busy').requests;
    if (unplaced > 0) {
        list.push(h('li', null, `${f.plural(unplaced, 'request')} could not be placed on a GPU, and so `
            + 'cost nothing here.'));
    }
    const unpriced = add(kinds.usage, 'busy').unpriced;
    if (unpriced > 0) {
        list.push(h('li', null, `${f.plural(unpriced, 'request')} ran on a GPU without a price.`));
    }
    const split = answer.splits?.map((s) => s.method === 'weighted'
        ? `weighted ${s.weight_in}:${s.weight_out}` : s.method).join(', then ');
    if (split) {
        list.push(h('li', null, `Cost of in and out tokens: ${split}.`));
    }
    return list.length > 0 && h('ul.notes', null, list);
}

/** "22 Nov 14:00 to 18:00 UTC · 8 GPUs on 2 hosts · final up to 13:54" */
export function about(answer) {
    const tz = answer.tz ?? 'UTC', until = f.ms(answer.final_until);
    const gpus = answer.gpus !== undefined && answer.gpus !== null
        && `${f.plural(answer.gpus, 'GPU')} on ${f.plural(answer.hosts ?? 0, 'host')}`;
    return [f.span(f.ms(answer.since), f.ms(answer.until), tz), gpus,
        until && `final up to ${f.day(until, tz) === f.day(f.ms(answer.until), tz)
            ? f.clock(until, tz) : f.when(until, tz)}`].filter(Boolean).join(' \u00b7 ');
}

/** Filters in force, each with a way to end it. */
export function chips(s, href) {
    const list = DIMS.flatMap((dim) => s[dim].map((value) => h('li', null,
        h('a.chip', {href: href({[dim]: s[dim].filter((v) => v !== value)}),
            'data-key': `chip-${dim}-${value}`, 'aria-label': `no longer only ${dim} ${value}`},
        `${dimLabel[dim]}: ${value} `, h('span', {'aria-hidden': 'true'}, '\u00d7')))));
    return list.length > 0 && h('ul.chips', {'aria-label': 'filters'}, list);
}


/** Shows what costTable made, keeping focus. */
export const put = (node, made) => render(node, ...made);
