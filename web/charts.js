// Charts. Lines of an hour are SVG of our own, there at once; the large ones are Chart.js, which is
// loaded when the first of them is shown.
import {announce, h, svg} from './dom.js';

let library = null;

function load() {
    library ??= import(new URL('chart.js', import.meta.url).href).then(() => globalThis.Chart);
    return library;
}

/** The colour of a class such as 'c0' in the scheme that is in force now. */
export function colour(name) {
    const probe = h(`span.probe.${name}`);
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
}

/** A small square in a series' colour, for names beside it. */
export const swatch = (name) => h(`span.swatch.${name}`, {'aria-hidden': 'true'});

// --- lines of an hour

const W = 300, H = 60;

/** points [[t, v | null]], ascending. label says what is seen, for those who do not see it. */
export function sparkline(points, from, to, label) {
    const values = points.map((p) => p[1]).filter((v) => v !== null);
    const top = Math.max(...values, 0) * 1.1 || 1;
    const xy = ([t, v]) => [W * (t - from) / (to - from), H - 2 - (H - 4) * v / top];
    let path = '', drawn = false, last = null;
    for (const p of points) {
        if (p[1] === null) {
            drawn = false;
            continue;
        }
        last = xy(p);
        path += `${drawn ? 'L' : 'M'}${last.map((n) => n.toFixed(1)).join(' ')}`;
        drawn = true;
    }
    return svg('svg', {class: 'spark', viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img',
        'aria-label': label},
    svg('line', {x1: 0, x2: W, y1: H - 2, y2: H - 2, class: 'base'}), svg('path', {d: path}));
}

// --- large ones

function axes(labels) {
    const text = colour('muted'), line = colour('line');
    const ticks = {color: text, maxRotation: 0, autoSkipPadding: 16, font: {size: 12}};
    return {
        x: {stacked: labels.stacked, ticks, grid: {display: false}, border: {color: line}},
        y: {stacked: labels.stacked, beginAtZero: true, grid: {color: line},
            ticks: {...ticks, maxTicksLimit: 6, callback: labels.y},
            title: {display: true, text: labels.unit, color: text}},
    };
}

// What can still change is behind a veil of the background's colour.
const veil = {
    id: 'veil',
    afterDatasetsDraw(chart, _, {from}) {
        if (from === null || from === undefined) {
            return;
        }
        const {ctx, chartArea: area, scales: {x}} = chart;
        const half = (x.getPixelForValue(1) - x.getPixelForValue(0)) / 2 || area.width / 2;
        const left = Math.max(area.left, x.getPixelForValue(from) - half);
        ctx.save();
        ctx.globalAlpha = 0.45;
        ctx.fillStyle = colour('surface');
        ctx.fillRect(left, area.top, area.right - left, area.height);
        ctx.globalAlpha = 1;
        ctx.strokeStyle = colour('muted');
        ctx.setLineDash([3, 3]);
        ctx.beginPath();
        ctx.moveTo(left, area.top);
        ctx.lineTo(left, area.bottom);
        ctx.stroke();
        ctx.restore();
    },
};

function options(labels, onReadout) {
    return {
        responsive: true, maintainAspectRatio: false, animation: false, normalized: true,
        interaction: {mode: 'index', intersect: false},
        scales: axes(labels),
        plugins: {
            legend: {display: false}, veil: {from: labels.provisionalFrom},
            tooltip: {enabled: false, external: ({tooltip}) =>
                onReadout(tooltip.opacity > 0 ? tooltip.dataPoints?.[0]?.dataIndex : null)},
        },
    };
}

function datasets(kind, series) {
    const gap = colour('surface');
    return series.map((s) => ({
        label: s.name, data: s.values,
        ...kind === 'bar'
            ? {backgroundColor: colour(s.colour), borderColor: gap, borderWidth: {top: 1}, borderSkipped: false,
                categoryPercentage: 1, barPercentage: 0.9}
            : {borderColor: colour(s.colour), backgroundColor: colour(s.colour), borderWidth: 2,
                borderDash: s.dashed ? [6, 4] : [], spanGaps: false, pointRadius: (c) =>
                    c.dataset.data[c.dataIndex - 1] == null && c.dataset.data[c.dataIndex + 1] == null ? 3 : 0},
    }));
}

const drawn = new Set();

/**
 * A chart in `box`. kind: 'bar' (stacked) or 'line'; series [{name, colour, values}] over
 * labels.x; readout(index | null): what the pointer is at. Returns {update, destroy, chart}.
 */
export async function draw(box, kind, series, labels, readout) {
    const Chart = await load();
    const canvas = h('canvas', {role: 'img', 'aria-label': labels.about});
    box.replaceChildren(canvas);
    const chart = new Chart(canvas, {type: kind, plugins: [veil],
        data: {labels: labels.x, datasets: datasets(kind, series)},
        options: options({...labels, stacked: kind === 'bar'}, readout)});
    const it = {
        chart,
        update(newSeries, newLabels) {
            canvas.setAttribute('aria-label', newLabels.about);
            Object.assign(it, {series: newSeries, labels: newLabels});
            chart.data = {labels: newLabels.x, datasets: datasets(kind, newSeries)};
            chart.options = options({...newLabels, stacked: kind === 'bar'}, readout);
            chart.update();
        },
        recolour: () => it.update(it.series, it.labels),
        destroy() {
            drawn.delete(it);
            chart.destroy();
        },
        series, labels,
    };
    drawn.add(it);
    return it;
}

/** After the scheme changed: canvases do not know. */
export function recolour() {
    drawn.forEach((it) => it.recolour());
}

// --- zooming

/**
 * Lets a range of steps be chosen on a chart: by dragging, or with the keys (arrows move, with
 * shift they choose, Enter zooms, Escape forgets, minus zooms out). Calls zoom(first, last), out().
 */
export function brush(box, view, {count, name, zoom, out, readout}) {
    const mark = h('div.brush', {hidden: true});
    box.after(mark);
    let anchor = null, at = null;
    const scale = () => view.chart.scales.x;
    const area = () => view.chart.chartArea;
    const indexAt = (event) => {
        const x = event.clientX - box.getBoundingClientRect().left;
        const inside = Math.min(area().right, Math.max(area().left, x));
        return Math.min(count() - 1, Math.max(0, Math.round(scale().getValueForPixel(inside))));
    };
    const show = () => {
        mark.hidden = at === null;
        if (mark.hidden) {
            return;
        }
        const half = area().width / count() / 2;
        const [a, b] = [Math.min(anchor ?? at, at), Math.max(anchor ?? at, at)];
        const left = scale().getPixelForValue(a) - half;
        mark.style.setProperty('left', `${box.offsetLeft + left}px`);
        mark.style.setProperty('top', `${box.offsetTop + area().top}px`);
        mark.style.setProperty('width', `${scale().getPixelForValue(b) + half - left}px`);
        mark.style.setProperty('height', `${area().height}px`);
    };
    const forget = () => {
        anchor = at = null;
        show();
        readout(null);
    };
    const done = () => {
        const [a, b] = [Math.min(anchor, at), Math.max(anchor, at)];
        forget();
        zoom(a, b);
    };
    let pointer = null, from = 0;
    box.addEventListener('pointerdown', (e) => {
        if (e.button === 0 && e.isPrimary && count() > 1) {
            [pointer, from] = [e.pointerId, e.clientX];
        }
    });
    box.addEventListener('pointermove', (e) => {
        if (e.pointerId !== pointer || (anchor === null && Math.abs(e.clientX - from) < 5)) {
            return;
        }
        if (anchor === null) {
            box.setPointerCapture(pointer);
            anchor = indexAt({clientX: from});
        }
        at = indexAt(e);
        show();
    });
    box.addEventListener('pointerup', (e) => {
        if (e.pointerId === pointer && anchor !== null) {
            done();
        }
        pointer = null;
    });
    box.addEventListener('pointercancel', () => {
        pointer = null;
        forget();
    });
    const move = (to, choosing) => {
        anchor = choosing ? anchor ?? at ?? to : null;
        at = Math.min(count() - 1, Math.max(0, to));
        show();
        readout(at);
        announce(choosing && anchor !== at
            ? `${name(Math.min(anchor, at))} to ${name(Math.max(anchor, at))} chosen, Enter zooms` : name(at, true));
    };
    const keys = {
        ArrowLeft: (e) => move((at ?? count()) - 1, e.shiftKey),
        ArrowRight: (e) => move((at ?? -1) + 1, e.shiftKey),
        Home: (e) => move(0, e.shiftKey),
        End: (e) => move(count() - 1, e.shiftKey),
        Enter: () => at !== null && (anchor ??= at, done()),
        Escape: forget,
        '-': out,
    };
    box.addEventListener('keydown', (e) => {
        if (keys[e.key] && !e.ctrlKey && !e.altKey && !e.metaKey && count() > 0) {
            e.preventDefault();
            e.stopPropagation();
            keys[e.key](e);
        }
    });
    box.addEventListener('blur', () => pointer === null && forget());
    return forget;
}
