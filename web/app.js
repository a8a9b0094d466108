// The frame: places, range, basis, scheme, keys, the token, and what is said when the server is lost.
import {onToken} from './api.js';
import {recolour} from './charts.js';
import {announce, byId, h} from './dom.js';
import * as f from './format.js';
import * as health from './health.js';
import * as live from './live.js';
import * as now from './now.js';
import * as prices from './prices.js';
import {RANGES, fromTo, go, hrefTo, onChange, state} from './router.js';
import * as time from './time.js';
import * as who from './who.js';

const MODULES = {now, time, who, prices, health};
const RANGE_NAMES = {'1h': 'last hour', '6h': 'last 6 h', '24h': 'last 24 h', '7d': 'last 7 days',
    '30d': 'last 30 days', '90d': 'last 90 days', today: 'today', yesterday: 'yesterday'};
const THEMES = ['system', 'light', 'dark'];

// --- places

let place = null, shownPlace = '';

function enter(s, before) {
    const moved = s.place !== shownPlace;
    const module = MODULES[s.place];
    if (moved) {
        place?.end();
        byId('place').replaceChildren();
        place = module.mount(byId('place'));
        shownPlace = s.place;
    }
    byId('title').textContent = module.title;
    document.title = `${module.title} \u00b7 gtap`;
    for (const a of document.querySelectorAll('[data-place]')) {
        a.href = hrefTo(a.dataset.place);
        a.toggleAttribute('aria-current', false);
        if (a.dataset.place === s.place) {
            a.setAttribute('aria-current', 'page');
        }
    }
    byId('home').href = hrefTo('now');
    settings(s);
    place.update(s, before);
    if (moved && before) {
        byId('title').focus({preventScroll: true});
        scrollTo(0, 0);
    }
}

// --- settings

function option(value, text) {
    return h('option', {value}, text);
}

function rangeSelect(s) {
    const known = RANGES.includes(s.range);
    const exact = fromTo(s.range);
    const select = h('select', {id: 'range', value: s.range, on: {change: (e) => {
        if (e.target.value === 'other') {
            e.target.value = s.range;
            chooseRange();
        } else {
            go({range: e.target.value, step: 'auto'});
        }
    }}}, RANGES.map((r) => option(r, RANGE_NAMES[r])),
    !known && option(s.range, exact ? f.span(exact[0], exact[1], s.tz) : `last ${s.range}`), option('other', 'from\u2026 to\u2026'));
    return h('label.setting', null, h('span.word', null, 'range'), select);
}

function basisSwitch(s) {
    const title = {busy: 'what requests cost while they ran', loaded: 'with their share of idle and unattributed time'};
    return h('fieldset.setting.switch', null, h('legend.sr', null, 'basis'), ['busy', 'loaded'].map((b) => [
        h('input', {type: 'radio', name: 'basis', id: `basis-${b}`, value: b, checked: s.basis === b,
            on: {change: () => go({basis: b})}}), h('label', {for: `basis-${b}`, title: title[b]}, b)]));
}

function zoneSelect(s) {
    const local = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
    const zones = [...new Set(['UTC', local, s.tz])];
    return zones.length > 1 && h('label.setting', null, h('span.word', null, 'zone'), h('select', {id: 'zone', value: s.tz,
        on: {change: (e) => go({tz: e.target.value})}}, zones.map((z) => option(z, f.zoneName(z)))));
}

function settings(s) {
    const box = byId('settings'), active = box.contains(document.activeElement) ? document.activeElement.id : null;
    const ranged = s.place === 'time' || s.place === 'who';
    box.replaceChildren(...[ranged && rangeSelect(s), ranged && basisSwitch(s), zoneSelect(s),
        ranged && h('button.setting', {type: 'button', id: 'exact', 'aria-pressed': String(s.exact === '1'),
            title: 'money with all nine decimals', on: {click: toggleExact}}, 'exact')].filter(Boolean));
    if (active) {
        byId(active)?.focus();
    }
}

const toggleExact = () => go({exact: state().exact === '1' ? '' : '1'});
const toggleBasis = () => go({basis: state().basis === 'busy' ? 'loaded' : 'busy'});

// --- scheme

const theme = () => document.documentElement.dataset.theme ?? 'system';
const themeName = () => ({system: 'auto', light: 'light', dark: 'dark'})[theme()];

function nameTheme() {
    byId('theme').textContent = themeName();
    byId('theme').setAttribute('aria-label', `colours: ${themeName()}`);
}

function setTheme(name) {
    if (name === 'system') {
        delete document.documentElement.dataset.theme;
    } else {
        document.documentElement.dataset.theme = name;
    }
    recolour();
}

function nextTheme() {
    const name = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
    setTheme(name);
    try {
        localStorage.setItem('gtap.theme', name);
    } catch {
        // it holds until the page is left
    }
    nameTheme();
    announce(`colours: ${themeName()}`);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);

let beforePrint = null;
addEventListener('beforeprint', () => {
    beforePrint = theme();
    setTheme('light');
});
addEventListener('afterprint', () => beforePrint && setTheme(beforePrint));

// --- dialogs

function ask(dialog, form, cancel, answer) {
    return new Promise((done) => {
        const end = (value) => {
            form.onsubmit = cancel.onclick = dialog.oncancel = null;
            dialog.close();
            done(value);
        };
        form.onsubmit = (e) => {
            e.preventDefault();
            const value = answer();
            if (value !== undefined) {
                end(value);
            }
        };
        cancel.onclick = () => end(null);
        dialog.oncancel = (e) => {
            e.preventDefault();
            end(null);
        };
        dialog.showModal();
    });
}

onToken((failed) => {
    const input = byId('token');
    input.value = '';
    byId('token-title').textContent = failed ? 'That token does not fit' : 'This gtap wants a token';
    return ask(byId('token-dialog'), byId('token-form'), byId('token-cancel'), () => input.value.trim() || undefined);
});

// A time on the clock of a zone as an instant: tried as if it were UTC, then moved by the difference.
function instant(text, tz) {
    const wanted = Date.parse(`${text}Z`);
    const shownAs = (t) => {
        const p = Object.fromEntries(new Intl.DateTimeFormat('en-CA', {timeZone: tz, hourCycle: 'h23', year: 'numeric',
            month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit'}).formatToParts(t).map((x) => [x.type, x.value]));
        return Date.parse(`${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}Z`);
    };
    let t = wanted;
    for (let i = 0; i < 2; i++) {
        t += wanted - shownAs(t);
    }
    return t;
}

async function chooseRange() {
    const s = state(), from = byId('range-from'), to = byId('range-to'), bad = byId('range-bad');
    document.querySelectorAll('#range-dialog .zone').forEach((z) => {
        z.textContent = f.zoneName(s.tz);
    });
    bad.textContent = '';
    const range = await ask(byId('range-dialog'), byId('range-form'), byId('range-cancel'), () => {
        const [a, b] = [instant(from.value, s.tz), instant(to.value, s.tz)];
        if (!(a < b)) {
            bad.textContent = 'The end has to be after the beginning.';
            return undefined;
        }
        return [a, b].map((t) => new Date(t).toISOString().replace('.000Z', 'Z')).join('~');
    });
    if (range) {
        go({range, step: 'auto'});
    }
}

// --- keys

const KEYS = [
    ['1', 'Now', () => visit('now')], ['2', 'Over time', () => visit('time')], ['3', 'Who', () => visit('who')],
    ['4', 'Prices', () => visit('prices')], ['5', 'Health', () => visit('health')],
    ['r', 'the range', () => byId('range')?.focus()], ['b', 'busy or loaded', toggleBasis],
    ['e', 'all nine decimals, or cents', toggleExact], ['/', 'search', () => search()],
    ['t', 'light, dark or as the system', nextTheme], ['?', 'these keys', () => showKeys()],
];
const CHART_KEYS = [['\u2190 \u2192', 'on a chart: step by step'], ['Shift + \u2190 \u2192', 'on a chart: choose a range'],
    ['Enter', 'zoom to it'], ['\u2212', 'zoom out']];

function visit(name) {
    location.hash = hrefTo(name);
}

function search() {
    if (state().place !== 'who') {
        visit('who');
    }
    const deadline = Date.now() + 3000;
    const find = () => byId('search') ? byId('search').focus() : Date.now() < deadline && requestAnimationFrame(find);
    find();
}

function showKeys() {
    byId('keys').replaceChildren(...[...KEYS, ...CHART_KEYS].map(([key, what]) => h('div', null, h('dt', null, h('kbd', null, key)),
        h('dd', null, what))));
    byId('keys-dialog').showModal();
}

byId('keys-close').addEventListener('click', () => byId('keys-dialog').close());

addEventListener('keydown', (e) => {
    const typing = e.target.closest?.('input:not([type=radio]), select, textarea, dialog');
    if (typing || e.ctrlKey || e.altKey || e.metaKey || e.defaultPrevented) {
        return;
    }
    const key = KEYS.find(([k]) => k === e.key);
    if (key) {
        e.preventDefault();
        key[2]();
    }
});

byId('skip').addEventListener('click', (e) => {
    e.preventDefault(); // the address is the place's
    byId('main').focus();
});

// --- the server

const STATES = {live: 'live', connecting: 'connecting', resting: 'paused while not seen', lost: 'not connected',
    barred: 'no token', dry: 'no news', absent: 'not live: this address has no stream of events'};
let lost = false;

function age() {
    return live.live.heard ? `These numbers are ${f.duration((Date.now() - live.live.heard) / 1000)} old, of `
        + `${f.clock(live.live.heard, state().tz, true)} ${f.zoneName(state().tz)}.` : 'Nothing has been heard from it yet.';
}

function banner() {
    const it = live.live, box = byId('banner');
    const words = {lost: 'gtap does not answer.', barred: 'gtap wants a token.', dry: 'gtap cannot read its store.'}[it.state];
    byId('connection').textContent = STATES[it.state];
    byId('connection').className = it.state;
    if (it.state === 'connecting' && lost) {
        return; // still lost until it is heard
    }
    const was = lost;
    lost = Boolean(words);
    document.body.classList.toggle('lost', lost);
    box.hidden = !lost;
    if (lost && (!was || box.dataset.state !== it.state)) {
        box.dataset.state = it.state;
        const button = h('button', {type: 'button', id: 'retry', on: {click: live.begin}}, it.state === 'barred' ? 'Enter it' : 'Try now');
        box.replaceChildren(h('strong', null, words), ' ', h('span', {id: 'age'}), ' ', h('span', null, it.state === 'barred' ? ''
            : 'See whether it runs; this page goes on by itself when it is back. '), button);
    }
    if (lost) {
        const text = age();
        const node = byId('age');
        node.setAttribute('aria-hidden', 'true'); // else it is read out every second
        node.textContent = text;
    }
    if (was && !lost) {
        announce('gtap is back');
        place?.update(state());
    }
}

live.on('state', banner);
setInterval(() => lost && banner(), 1000);

nameTheme();
byId('theme').addEventListener('click', nextTheme);
byId('help').addEventListener('click', showKeys);
onChange(enter);
enter(state(), null);
live.begin();
