// Numbers and times as people read them. Money is a BigInt of nano-dollars until it is text: a
// table adds up to the last digit it shows.
import {h} from './dom.js';

export const DASH = '\u2013';
const NANO = 1_000_000_000n;

/** "-212.340000000" to nano-dollars; null stays null. */
export function nano(usd) {
    if (usd === null || usd === undefined) {
        return null;
    }
    const [, sign, whole, part = ''] = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(String(usd)) ?? [];
    if (whole === undefined) {
        return null;
    }
    const v = BigInt(whole) * NANO + BigInt(part.padEnd(9, '0'));
    return sign ? -v : v;
}

export const sum = (list) => list.reduce((a, b) => a + (b ?? 0n), 0n);

export const group = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ',');

const floorDiv = (a, b) => a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n);

/** v / unit, half up. */
export const round = (v, unit) => floorDiv(2n * v + unit, 2n * unit);

/** Rounds parts so that they add up to `total` units: by largest remainder. */
export function shareOut(parts, unit, total) {
    const shown = parts.map((v) => v === null ? null : floorDiv(v, unit));
    let missing = total - sum(shown);
    const order = parts.map((v, i) => [i, v === null ? 0n : v - floorDiv(v, unit) * unit])
        .filter(([i, rest]) => parts[i] !== null && rest > 0n)
        .sort((a, b) => a[1] === b[1] ? a[0] - b[0] : a[1] < b[1] ? 1 : -1);
    for (const [i] of order) {
        if (missing <= 0n) {
            break;
        }
        shown[i] += 1n;
        missing -= 1n;
    }
    return shown;
}

/** How many decimals show an amount: cents, more where that would be nothing. */
export function decimalsFor(v, exact) {
    if (exact) {
        return 9;
    }
    let decimals = 2;
    for (let a = v < 0n ? -v : v, limit = NANO; a > 0n && a < limit && decimals < 9; limit /= 10n) {
        decimals += 1;
    }
    return decimals;
}

export const unitOf = (decimals) => 10n ** BigInt(9 - decimals);

/** Units of 10^-decimals as text: "1,204.50". */
export function grouped(v, decimals) {
    const digits = (v < 0n ? -v : v).toString().padStart(decimals + 1, '0');
    const whole = group(digits.slice(0, digits.length - decimals));
    return (v < 0n ? '\u2212' : '') + whole + (decimals > 0 ? `.${digits.slice(-decimals)}` : '');
}

export function money(v, exact = false, decimals = decimalsFor(v, exact)) {
    return grouped(round(v, unitOf(decimals)), decimals);
}

/** Three significant digits, never an exponent: "0.590", "12.3", "1,230". */
export function rate(v) {
    if (v === null || v === undefined || !Number.isFinite(v)) {
        return DASH;
    }
    if (v === 0) {
        return '0';
    }
    const a = Math.abs(v);
    let decimals = Math.max(0, 2 - Math.floor(Math.log10(a)));
    if (Number(a.toFixed(decimals)) >= 10 ** (3 - decimals) && decimals > 0) {
        decimals -= 1; // 9.999 is 10.0
    }
    const text = decimals > 0 ? a.toFixed(Math.min(decimals, 12))
        : String(a < 1000 ? Math.round(a) : Number(a.toPrecision(3)));
    const [whole, part] = text.split('.');
    return (v < 0 ? '\u2212' : '') + group(whole) + (part ? `.${part}` : '');
}

/** A tick of an axis, with as many decimals as its neighbours need. */
export function tick(v, i, ticks) {
    const gap = ticks.length > 1 ? Math.abs(ticks[1].value - ticks[0].value) : 1;
    const [whole, part] = v.toFixed(Math.min(9, Math.max(0, -Math.floor(Math.log10(gap) + 1e-9)))).split('.');
    return group(whole) + (part ? `.${part}` : '');
}

export const count = (n) => n === null || n === undefined ? DASH : group(String(Math.round(n)));
export const percent = (v) => v === null || v === undefined ? DASH
    : `${v !== 0 && Math.abs(v) < 0.01 ? Number((v * 100).toPrecision(1)).toFixed(Math.abs(v) < 0.001 ? 2 : 1)
        : Math.round(v * 100)}\u202f%`;
export const plural = (n, thing) => `${count(n)} ${thing}${n === 1 ? '' : 's'}`;

/** How tokens of about this many are shown: {label, text(n)}. */
export function tokenUnit(most) {
    const [label, unit] = most >= 1e6 ? ['Mtok', 1e6] : most >= 1e4 ? ['ktok', 1e3] : ['tok', 1];
    return {label, unit: BigInt(unit), decimals: unit === 1 ? 0 : 1};
}

/** "18 min", "2 h 5 min", "3 d 4 h", "41 s", "0.4 s". */
export function duration(seconds) {
    if (seconds === null || seconds === undefined) {
        return DASH;
    }
    if (seconds < 10) {
        return `${rate(Math.max(0, Math.round(seconds * 10) / 10))} s`.replace(/(\.\d)\d+/, '$1');
    }
    const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
    const at = Math.max(0, units.findIndex(([, n]) => seconds >= n));
    const [name, n] = units[at];
    const whole = Math.floor(seconds / n);
    if (at >= 2) { // minutes and seconds stand alone
        return `${whole} ${name}`;
    }
    const [lower, m] = units[at + 1];
    const rest = Math.floor((seconds - whole * n) / m);
    return rest > 0 ? `${whole} ${name} ${rest} ${lower}` : `${whole} ${name}`;
}

// --- times

const formats = new Map();

function parts(t, tz) {
    if (!formats.has(tz)) {
        formats.set(tz, new Intl.DateTimeFormat('en-GB', {timeZone: tz, hourCycle: 'h23',
            year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit',
            second: '2-digit'}));
    }
    const found = Object.fromEntries(formats.get(tz).formatToParts(t).map((p) => [p.type, p.value]));
    return {...found, month: found.month.slice(0, 3)};
}

export const ms = (text) => text ? Date.parse(text) : null;

/** "22 Nov 14:00", with the year when it is not this one; seconds when asked. */
export function when(t, tz, seconds = false) {
    if (t === null || Number.isNaN(t)) {
        return DASH;
    }
    const p = parts(t, tz);
    const year = p.year === parts(Date.now(), tz).year ? '' : ` ${p.year}`;
    return `${p.day} ${p.month}${year} ${clock(t, tz, seconds)}`;
}

export function clock(t, tz, seconds = false) {
    const p = parts(t, tz);
    return `${p.hour}:${p.minute}${seconds ? `:${p.second}` : ''}`;
}

export function day(t, tz) {
    const p = parts(t, tz);
    return `${p.day} ${p.month}`;
}

/** "22 Nov 14:00 to 18:00 UTC": the day once where both are of the same. */
export function span(from, to, tz) {
    const same = day(from, tz) === day(to, tz);
    return `${when(from, tz)} to ${same ? clock(to, tz) : when(to, tz)} ${zoneName(tz)}`;
}

export const zoneName = (tz) => tz === 'UTC' ? 'UTC' : tz.replace(/_/g, ' ');

/** Today's date there, as the API takes it. */
export function today(tz, ago = 0) {
    const d = new Intl.DateTimeFormat('en-CA', {timeZone: tz, year: 'numeric', month: '2-digit',
        day: '2-digit'});
    return d.format(Date.now() - ago * 86_400_000);
}

// --- what is missing

/** Dashes, and the reasons that stand under the table. */
export class Reasons {
    list = [];

    dash(reason) {
        if (!this.list.includes(reason)) {
            this.list.push(reason);
        }
        return h('span.dash', {title: reason}, DASH, h('span.sr', null, ` (${reason})`));
    }

    notes() {
        return this.list.length > 0 && h('ul.notes', null,
            this.list.map((r) => h('li', null, `${DASH}  ${r}`)));
    }
}
