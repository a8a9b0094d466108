// Over time: what makes up the bill, step by step; dragging zooms. The table shows the same range.
import {get} from './api.js';
import * as charts from './charts.js';
import * as costs from './costs.js';
import {announce, h, render} from './dom.js';
import * as f from './format.js';
import {loader} from './place.js';
import {DIMS, STEPS, filters, fromTo, go, href, hrefTo, state} from './router.js';
import {nothing} from './teach.js';

export const title = 'Over time';

// Where a name in the table leads: one level down.
const NEXT = {site: 'host', host: 'gpu', gpu: 'model', model: 'tenant', tenant: null};

function times(answer, name) {
    const found = [...new Set(answer.rows.map((r) => f.ms(r.time)))].sort((a, b) => a - b);
    if (name === '1d' || found.length === 0) {
        return found; // a day is not always of 24 hours
    }
    const list = [], length = costs.stepMs(name);
    for (let t = found[0]; t <= found.at(-1) && list.length < 2000; t += length) {
        list.push(t);
    }
    return list;
}

// A row of the API for each step: what each series cost there, and for how many tokens.
function byStep(rows, at, basis) {
    const values = at.map(() => null), tokens = at.map(() => 0n), priced = at.map(() => false);
    const index = new Map(at.map((t, i) => [t, i]));
    for (const r of rows) {
        const i = index.get(f.ms(r.time));
        if (i !== undefined) {
            values[i] = (values[i] ?? 0n) + (costs.cost(r, basis) ?? 0n);
            tokens[i] += BigInt(costs.tokens(r));
            priced[i] ||= r.usd_per_mtok !== null;
        }
    }
    return {values, tokens, priced};
}

const dollars = (v) => v === null ? null : Number(v) / 1e9;

// Series in the order in which they are stacked: what idles at the bottom, then the dearest.
function allSeries(answer, at, dim, basis) {
    const {kinds, groups} = costs.split(answer, dim, basis);
    const named = groups.filter((g) => g.value !== null || !g.rows[0].others);
    const top = named.slice(0, costs.SERIES_MAX), rest = groups.filter((g) => !top.includes(g));
    const make = (name, colour, rows, key) => ({name, colour, key, rows, ...byStep(rows, at, basis)});
    const list = [make('unattributed', 'lost', kinds.unattributed), make('idle', 'idle', kinds.idle),
        ...top.map((g, i) => make(g.name, `c${i}`, g.rows, g.key))];
    if (rest.length > 0) {
        list.push(make(`others (${rest.reduce((n, g) => n + (g.rows[0].others ?? 1), 0)})`, 'others',
            rest.flatMap((g) => g.rows)));
    }
    return list.filter((s) => s.rows.length > 0);
}

const quiet = (s) => s.colour === 'idle' || s.colour === 'lost';

function costSeries(list) {
    return list.map((s) => ({...s, values: s.values.map(dollars)}));
}

function rateSeries(list, basis) {
    const lines = list.filter((s) => !quiet(s) && s.colour !== 'others').map((s) => ({...s,
        values: s.values.map((v, i) => v === null || !s.priced[i] ? null : costs.perMtok(v, s.tokens[i]))}));
    const counted = basis === 'loaded' ? list : list.filter((s) => !quiet(s));
    const n = list[0]?.values.length ?? 0;
    const all = Array.from({length: n}, (_, i) => costs.perMtok(f.sum(counted.map((s) => s.values[i])),
        f.sum(list.map((s) => s.tokens[i]))));
    return [{name: `all, ${basis}`, colour: 'text', dashed: true, values: all}, ...lines];
}

function stepName(t, name, tz) {
    return name === '1d' ? f.day(t, tz) : f.clock(t, tz);
}

// Labels of the axis; with the day under the time where there are several.
function axisLabels(at, name, tz) {
    const days = at.length > 0 && at.at(-1) - at[0] > 36 * 3_600_000;
    return at.map((t) => name === '1d' ? f.day(t, tz) : days ? [f.clock(t, tz), f.day(t, tz)] : f.clock(t, tz));
}

function select(name, label, values, texts, current) {
    return h('label', null, `${label} `, h('select', {name, 'data-key': name, value: current,
        on: {change: (e) => go({[name]: e.target.value})}},
    values.map((v) => h('option', {value: v}, texts?.[v] ?? v))));
}

// One chart with its legend, what is under the pointer, and zooming.
function panel(heading, kind) {
    const box = h('div.chart', {tabindex: 0, role: 'group', 'aria-describedby': 'chart-keys'});
    const readout = h('p.readout', {'aria-hidden': 'true'}), legend = h('ul.legend');
    const node = h('figure.panel', null, h('figcaption', null, heading), legend, box, readout);
    let it = null, series = [], labels = {}, at = [], text = null;

    const read = (i) => {
        readout.textContent = i === null || i === undefined || !at[i] ? '' : text(i, series);
    };
    return {
        node,
        async show(next) {
            ({series, labels, at, text} = next);
            box.setAttribute('aria-label', labels.about);
            legend.replaceChildren(...series.slice().reverse().map((s) =>
                h('li', null, charts.swatch(s.colour), s.name)));
            if (it) {
                it.update(series, labels);
                return;
            }
            it = await charts.draw(box, kind, series, labels, read);
            charts.brush(box, it, {count: () => at.length, readout: read, out: zoomOut,
                name: (i, withValues) => withValues ? text(i, series) : next.name(at[i]),
                zoom: (a, b) => zoom(at, a, b)});
        },
        end: () => it?.destroy(),
    };
}

const iso = (t) => new Date(t).toISOString().replace('.000Z', 'Z');
let shown = null; // {answer, step}: what zooming is relative to

function zoom(at, first, last) {
    const end = at[last + 1] ?? Math.min(at[last] + costs.stepMs(shown.step), f.ms(shown.answer.until));
    const range = `${iso(at[first])}~${iso(Math.max(end, at[first] + 60_000))}`;
    announce(`zoomed to ${f.span(at[first], end, state().tz)}`);
    go({range, step: 'auto'});
}

function zoomOut() {
    const from = f.ms(shown.answer.since), to = f.ms(shown.answer.until);
    const half = (to - from) / 2, now = Date.now();
    if (!fromTo(state().range)) {
        const wider = {'1h': '6h', '6h': '24h', '24h': '7d', '7d': '30d', '30d': '90d'};
        go({range: wider[state().range] ?? '7d', step: 'auto'});
        return;
    }
    const end = Math.min(now, to + half);
    go({range: `${iso(Math.floor((end - 4 * half) / 60_000) * 60_000)}~${iso(Math.floor(end / 60_000) * 60_000)}`,
        step: 'auto'});
}

function link(s) {
    return (g) => {
        if (g.value === null) {
            return null;
        }
        const patch = {[s.by]: [g.value]};
        const next = NEXT[s.by] === 'tenant' && s.tenant.length > 0 ? null : NEXT[s.by];
        return next ? href({...patch, by: next})
            : hrefTo('who', {...filters(s), ...patch});
    };
}

function lines(name, at, list, unit, decimals) {
    const tz = state().tz;
    return (i, series) => {
        const parts = series.slice().reverse().filter((s) => s.values[i] !== null)
            .map((s) => `${s.name} ${unit}${decimals(s.values[i])}`);
        const total = unit === '$' ? [`bill $${decimals(series.reduce((n, s) => n + (s.values[i] ?? 0), 0))}`] : [];
        return `${name === '1d' ? f.day(at[i], tz) : f.when(at[i], tz)}: ${[...total, ...parts].join(', ') || 'nothing'}`;
    };
}

export function mount(root) {
    const cost = panel('Cost, in dollars a step', 'bar'), rates = panel('Dollars for a million tokens', 'line');
    const head = h('p.about'), controls = h('div.controls'), tableBox = h('div.tablebox');
    const keys = h('p.sr', {id: 'chart-keys'}, 'Arrow keys move along the chart, with shift they choose a range, '
        + 'Enter zooms to it, minus zooms out, Escape forgets it.');
    const content = h('div', null, head, controls, keys, cost.node, rates.node, tableBox);
    let last = [];

    function control(s) {
        render(controls,
            select('by', 'by', DIMS, costs.dimLabel, s.by),
            select('step', 'step', STEPS, {auto: `auto (${costs.step(s)})`}, s.step),
            h('button', {type: 'button', 'data-key': 'out', on: {click: zoomOut}}, 'Zoom out'),
            fromTo(s.range) && h('a.button', {href: href({range: '24h'}), 'data-key': 'back'}, 'Last 24 h'),
            costs.chips(s, href));
    }
    async function draw(s, answer, step) {
        const at = times(answer, step), list = allSeries(answer, at, s.by, s.basis);
        const provisional = answer.provisional && answer.final_until
            ? at.findIndex((t) => t + costs.stepMs(step) > f.ms(answer.final_until)) : -1;
        const labels = {x: axisLabels(at, step, s.tz), provisionalFrom: provisional < 0 ? null : provisional};
        const where = f.span(f.ms(answer.since), f.ms(answer.until), s.tz);
        const name = (t) => stepName(t, step, s.tz);
        await Promise.all([
            cost.show({at, name, series: costSeries(list), text: lines(step, at, list, '$', f.rate),
                labels: {...labels, unit: `$ in ${step}`, y: f.tick,
                    about: `Cost by ${costs.dimLabel[s.by]}, stacked, ${where}`}}),
            rates.show({at, name, series: rateSeries(list, s.basis), text: lines(step, at, list, '', f.rate),
                labels: {...labels, unit: '$/Mtok', y: f.tick,
                    about: `Dollars for a million tokens by ${costs.dimLabel[s.by]}, ${where}`}})]);
        return list;
    }
    const loads = loader(root, async (signal, body) => {
        const s = state(), step = costs.step(s);
        const ask = {...costs.range(s), ...filters(s), by: s.by, basis: s.basis, provisional: 'true'};
        const [whole, steps] = await Promise.all([get('costs', ask, signal),
            get('costs', {...ask, step, limit: costs.SERIES_MAX + 4}, signal)]);
        if (last[0] === whole && last[1] === steps && last[2] === s) {
            return;
        }
        last = [whole, steps, s];
        shown = {answer: whole, step};
        if (whole.rows.length === 0) {
            control(s);
            const teach = await nothing(signal, hrefTo('time', {range: '7d'}));
            body.replaceChildren(controls, teach);
            return;
        }
        if (content.parentNode !== body) {
            content.replaceChildren(head, controls, keys, cost.node, rates.node, tableBox);
            body.replaceChildren(content);
        }
        head.textContent = costs.about(whole);
        control(s);
        const list = await draw(s, steps, step);
        const colours = new Map(list.filter((x) => x.key).map((x) => [x.key, x.colour]));
        costs.put(tableBox, costs.costTable(whole, {dim: s.by, basis: s.basis, exact: s.exact === '1',
            caption: `Cost by ${costs.dimLabel[s.by]}, ${f.span(f.ms(whole.since), f.ms(whole.until), s.tz)}`,
            link: link(s), swatch: (g) => charts.swatch(colours.get(g.key) ?? 'others')}));
    });
    return {
        update: loads.run,
        end() {
            loads.end();
            cost.end();
            rates.end();
        },
    };
}
