// Now: three numbers that can be read across a room, and what every GPU does.
import {get} from './api.js';
import {sparkline} from './charts.js';
import * as costs from './costs.js';
import {announce, h, render} from './dom.js';
import * as f from './format.js';
import {live, on} from './live.js';
import {loader} from './place.js';
import {hrefTo, state} from './router.js';
import {noGpu} from './teach.js';

export const title = 'Now';

const HOUR = 3_600_000, STEP = 300_000;
const TILES_MAX = 512;

const STATES = {busy: 'busy', idle: 'idle', silent: 'silent', unpriced: 'no price'};

// What an hour of rows cost, step by step: [{t, length, used, idle, unattributed, tokens}].
function steps(answer) {
    const found = new Map();
    const from = f.ms(answer.since), to = Math.min(f.ms(answer.until), Date.now());
    for (const r of answer.rows) {
        const t = f.ms(r.time);
        if (!found.has(t)) {
            const length = Math.min(t + STEP, to) - Math.max(t, from);
            found.set(t, {t, length, usage: 0n, idle: 0n, unattributed: 0n, tokens: 0n});
        }
        const step = found.get(t);
        if (r.kind in step) {
            step[r.kind] += f.nano(r.cost_usd) ?? 0n;
        }
        step.tokens += BigInt(costs.tokens(r));
    }
    return [...found.values()].filter((s) => s.length > STEP / 2).sort((a, b) => a.t - b.t);
}

const bill = (s) => s.usage + s.idle + s.unattributed;

const NUMBERS = [
    {key: 'hour', label: '$/h', says: 'dollars an hour', live: (n) => n.usd_per_hour, text: f.rate,
        past: (s) => Number(bill(s)) / 1e9 / (s.length / HOUR), why: 'no priced GPU time in the last minutes'},
    {key: 'mtok', label: '$/Mtok loaded', says: 'dollars for a million tokens, idle time included',
        live: (n) => n.usd_per_mtok, text: f.rate, why: 'no tokens in the last minutes',
        past: (s) => costs.perMtok(bill(s), s.tokens)},
    {key: 'idle', label: 'share idle', says: 'share of the cost that is idle', text: f.percent,
        live: (n) => n.usd_per_hour > 0 && n.idle_usd_per_hour !== null
            ? n.idle_usd_per_hour / n.usd_per_hour : null, why: 'no priced GPU time in the last minutes',
        past: (s) => bill(s) > 0n ? Number(s.idle) / Number(bill(s)) : null},
];

function between(number, values) {
    const ends = [Math.min(...values), Math.max(...values)].map(number.text);
    return values.length === 0 ? 'no last hour yet' : ends[0] === ends[1] ? `${ends[0]} all the last hour`
        : `last hour ${ends[0]} to ${ends[1]}`;
}

function trend(number, hour, now) {
    const to = Date.now(), from = to - HOUR;
    const points = hour.map((s) => [s.t + s.length / 2, number.past(s)]);
    const value = now ? number.live(now) : null;
    if (value !== null && value !== undefined) {
        points.push([to, value]);
    }
    const values = points.map((p) => p[1]).filter((v) => v !== null);
    return [sparkline(points, from, to, `${number.says}: ${between(number, values)}`), h('p.range', null, between(number, values))];
}

function bigNumber(number) {
    const value = h('span.value', null, f.DASH);
    const line = h('div.trend'), why = h('p.why');
    const node = h('section.big', {'aria-label': number.says, 'data-number': number.key},
        h('h2', null, number.label), h('p.figure', null, value), why, line);
    return {node, show(hour, now) {
        const v = now ? number.live(now) : null;
        const text = v === null || v === undefined ? f.DASH : number.text(v);
        if (value.textContent !== text) {
            value.textContent = text;
        }
        why.textContent = now && text === f.DASH ? number.why : '';
        line.replaceChildren(...trend(number, hour, now));
    }};
}

// Where the dollars of this hour go, as one bar that says so in words, too.
function splitBar(n) {
    if (!n || !(n.usd_per_hour > 0)) {
        return [];
    }
    const idle = n.idle_usd_per_hour ?? 0, lost = n.unattributed_usd_per_hour ?? 0;
    const parts = [['used', Math.max(0, n.usd_per_hour - idle - lost), 'c0'], ['idle', idle, 'idle'],
        ['unattributed', lost, 'lost']];
    return [h('div.bar', {'aria-hidden': 'true'}, parts.map(([, v, c]) =>
        h(`span.${c}`, {style: {'flex-grow': v / n.usd_per_hour}}))),
    h('ul.legend', null, parts.map(([name, v, c]) => h('li', null,
        h(`span.swatch.${c}`, {'aria-hidden': 'true'}), `${name} $${f.rate(v)}/h`)))];
}

function facts(n) {
    const list = [[`${f.rate(n.tokens_per_minute)}`, 'tokens/min'], [f.rate(n.requests_per_minute),
        'requests/min'], [f.duration(n.behind_seconds), 'behind'],
    [n.final_until ? `${f.clock(f.ms(n.final_until), state().tz)} ${f.zoneName(state().tz)}` : f.DASH,
        'final up to'], [f.count(n.late), 'late'], [f.count(n.dead_letters), 'dead letters']];
    return list.map(([value, name]) => h('div', null, h('dt', null, name), h('dd', null, value)));
}

function meter(name, value, text) {
    return value === null || value === undefined ? h('div.meter', null, h('span', null, `${name} ${f.DASH}`))
        : h('div.meter', null, h('span', null, `${name} ${text}`), h('span.track', {'aria-hidden': 'true'},
            h('span.fill', {style: {width: `${Math.round(100 * Math.min(1, Math.max(0, value)))}%`}})));
}

function silentFor(g) {
    return g.last_seen ? `no telemetry for ${f.duration((Date.now() - f.ms(g.last_seen)) / 1000)}`
        : 'no telemetry';
}

function tile(g, day) {
    const price = g.price_per_hour_usd === null || g.price_per_hour_usd === undefined
        ? 'no price' : `$${f.money(f.nano(g.price_per_hour_usd))}/h`;
    const quiet = g.state === 'silent';
    const memory = g.mem_total_mb > 0 && !quiet ? g.mem_used_mb / g.mem_total_mb : null;
    const cost = day?.cost_usd === null || day?.cost_usd === undefined ? null : f.nano(day.cost_usd);
    return h(`li.tile.${STATES[g.state] ? g.state : 'unknown'}`, null,
        h('a', {href: g.state === 'unpriced' ? hrefTo('prices') : hrefTo('time', {gpu: [g.gpu], by: 'model'}),
            'data-key': `gpu-${g.gpu}`},
        h('span.name', null, g.gpu), h('span.state', null, STATES[g.state] ?? g.state)),
        h('p.model', null, g.models?.length > 0 ? g.models.join(', ') : g.name ?? 'unknown GPU'),
        quiet ? h('p.quiet', null, silentFor(g))
            : [meter('util', g.utilization, f.percent(g.utilization)), meter('mem', memory, f.percent(memory))],
        h('p.small', null, [price, !quiet && g.power_w !== null && g.power_w !== undefined
            && `${f.count(g.power_w)} W`].filter(Boolean).join(' \u00b7 ')),
        h('p.small', null, cost === null ? `today ${f.DASH}`
            : `today $${f.money(cost)}, ${f.percent(day.idle_share)} idle`));
}

function tiles(gpus, today) {
    const shown = gpus.slice(0, TILES_MAX);
    const by = Object.groupBy ? Object.groupBy(shown, (g) => g.host) : {'': shown};
    const counted = Object.keys(STATES).map((s) => [gpus.filter((g) => g.state === s).length, STATES[s]])
        .filter(([n]) => n > 0).map(([n, s]) => `${n} ${s}`).join(', ');
    return [h('h2', null, `${f.plural(gpus.length, 'GPU')}: ${counted}`),
        Object.entries(by).map(([host, list]) => h('section.host', {'aria-label': `GPUs of ${host}`},
            h('h3', null, host), h('ul.tiles', null, list.map((g) => tile(g, today.get(g.gpu)))))),
        gpus.length > shown.length && h('p.note', null, `The first ${TILES_MAX} of ${gpus.length} are shown; `,
            h('a', {href: hrefTo('time', {by: 'gpu'})}, 'Over time has all of them.'))];
}

export function mount(root) {
    const big = NUMBERS.map(bigNumber);
    const bar = h('div.split'), list = h('dl.facts'), grid = h('div.grid');
    let hour = [], today = new Map(), gpus = null;

    function numbers() {
        big.forEach((b) => b.show(hour, live.now));
        render(bar, ...splitBar(live.now));
        if (live.now) {
            render(list, ...facts(live.now));
            announce(NUMBERS.map((n) => `${n.label} ${n.text(n.live(live.now))}`).join(', '), false);
        }
    }
    function grids() {
        gpus = live.gpus ?? gpus;
        if (gpus) {
            render(grid, ...(gpus.length === 0 ? [noGpu()] : tiles(gpus, today)).flat());
        }
    }
    const content = h('div.now', null, h('div.bigs', null, big.map((b) => b.node)), bar, list, grid);
    const loads = loader(root, async (signal, body) => {
        const [answer, all] = await Promise.all([
            get('costs', {since: '1h', step: '5m', by: 'kind', tz: 'UTC', provisional: 'true'}, signal),
            get('gpus', {tz: state().tz}, signal)]);
        hour = steps(answer);
        today = new Map(all.items.map((g) => [g.gpu, g.today]));
        gpus = live.gpus ?? all.items;
        if (content.parentNode !== body) {
            body.replaceChildren(content);
        }
        numbers();
        grids();
    });
    const ends = [on('now', numbers), on('gpus', grids)];
    return {
        update: loads.run,
        end() {
            loads.end();
            ends.forEach((f) => f());
        },
    };
}
