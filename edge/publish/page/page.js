'use strict';

const UNITS = 8192; // to the longer side of the frame, as in message.py
const MINUTE_S = 60;
const STALE_S = 3; // without news the reading is not to be believed
const CLOSED = [ // MediaPipe's contours: face, lips (outer, inner), eyes, brows
  [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109],
  [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185],
  [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191],
  [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
  [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
  [70, 63, 105, 66, 107, 55, 65, 52, 53, 46],
  [300, 293, 334, 296, 336, 285, 295, 282, 283, 276],
];
const OPEN = [[168, 6, 197, 195, 5, 4, 1], [98, 97, 2, 326, 327]]; // bridge and foot of the nose
const SHADES = ['--accent', '--sad', '--fear', '--happy', '--surprised', '--disgusted', '--neutral'];

const at = (id) => document.getElementById(id);
const signed = (number) => String(number).replace('-', '−');
const seconds = () => performance.now() / 1000;
const still = matchMedia('(prefers-reduced-motion: reduce)');
let colours;
let classes = [];
let bars = [];
let past = []; // {time, label, sure}, oldest first
let told = null; // the last message
let toldAt = 0;
let size = [4, 3]; // of the frame
let goal = null; // landmarks of the last message, and those that are drawn
let shown = null;
let picture = null;
let drawnAt = 0;
let pending = 0; // the next step of the animation
let pastAt = -1;
let paused = false;
let mirrored = true;
let stages = {};
let source = null;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = (name) => style.getPropertyValue(name).trim();
}

function text(id, words) {
  const one = at(id);
  if (one.textContent !== words) one.textContent = words;
}

function fit(canvas) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return [canvas.getContext('2d'), width, height, scale];
}

// ---- the mesh

function decode(code) {
  const bytes = Uint8Array.from(atob(code), (one) => one.charCodeAt(0));
  return Float32Array.from(new Int16Array(bytes.buffer)); // little-endian, as all browsers are
}

function drawMesh() {
  const [pen, width, height, scale] = fit(at('mesh'));
  pen.clearRect(0, 0, width, height);
  const [w, h] = size;
  const unit = Math.min(width / w, height / h);
  const left = (width - w * unit) / 2;
  const top = (height - h * unit) / 2;
  pen.save();
  pen.translate(mirrored ? width - left : left, top);
  pen.scale(mirrored ? -1 : 1, 1);
  if (picture) pen.drawImage(picture, 0, 0, w * unit, h * unit);
  pen.strokeStyle = colours('--line');
  pen.lineWidth = scale;
  pen.strokeRect(scale / 2, scale / 2, w * unit - scale, h * unit - scale);
  pen.beginPath(); // the middle of the picture, to aim at
  const arm = h * unit / 24;
  pen.moveTo(w * unit / 2 - arm, h * unit / 2);
  pen.lineTo(w * unit / 2 + arm, h * unit / 2);
  pen.moveTo(w * unit / 2, h * unit / 2 - arm);
  pen.lineTo(w * unit / 2, h * unit / 2 + arm);
  pen.stroke();
  if (shown) drawFace(pen, shown, Math.max(w, h) * unit / UNITS, scale);
  pen.restore();
}

function drawFace(pen, points, unit, scale) {
  let near = Infinity;
  let far = -Infinity;
  for (let i = 2; i < points.length; i += 3) {
    near = Math.min(near, points[i]);
    far = Math.max(far, points[i]);
  }
  const breadth = Math.abs(points[3 * 454] - points[3 * 234]) * unit;
  const size = Math.max(breadth / 85, 1.5 * scale);
  pen.fillStyle = colours('--dot');
  for (let i = 0; i < points.length; i += 3) {
    const close = (far - points[i + 2]) / (far - near || 1); // 0 far, 1 near
    const side = size * (0.7 + 0.6 * close);
    pen.globalAlpha = 0.35 + 0.65 * close;
    pen.fillRect(points[i] * unit - side / 2, points[i + 1] * unit - side / 2, side, side);
  }
  pen.globalAlpha = 1;
  pen.strokeStyle = colours(`--${told.label}`);
  pen.lineWidth = Math.max(breadth / 150, 1.4 * scale);
  pen.lineJoin = pen.lineCap = 'round';
  for (const line of [...CLOSED, ...OPEN]) {
    pen.beginPath();
    for (const i of line) pen.lineTo(points[3 * i] * unit, points[3 * i + 1] * unit);
    if (CLOSED.includes(line)) pen.closePath();
    pen.stroke();
  }
}

function animate(now) {
  pending = 0;
  if (!goal || !shown) return;
  const share = 1 - Math.exp(-Math.max(now - drawnAt, 0) / 45);
  drawnAt = now;
  let left = 0;
  for (let i = 0; i < goal.length; i += 1) {
    const step = goal[i] - shown[i];
    shown[i] += share * step;
    left = Math.max(left, Math.abs(step));
  }
  drawMesh();
  if (left > 4) pending = requestAnimationFrame(animate);
}

function showMesh(code) {
  const before = goal;
  const now = performance.now();
  goal = code ? decode(code) : null;
  if (goal && before && still.matches && now - drawnAt < 500) return; // calm: two a second
  if (!goal || !before || still.matches) {
    drawnAt = now;
    shown = goal && goal.slice();
    drawMesh();
  } else if (!pending) {
    drawnAt = now;
    pending = requestAnimationFrame(animate);
  }
}

async function showPicture(code) {
  at('picture').hidden = !code;
  text('footing', code ? '' : 'Only the mesh is sent here, no picture.');
  if (!code) {
    picture = null;
    return;
  }
  const bytes = Uint8Array.from(atob(code), (one) => one.charCodeAt(0));
  const next = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }));
  picture?.close();
  picture = next;
  drawMesh();
}

// ---- bars, timeline, device

function makeBars(names) {
  classes = names;
  at('bars').replaceChildren();
  bars = names.map((name) => {
    const bar = document.createElement('div');
    const [label, track, fill, value] = ['span', 'i', 'u', 'b'].map((tag) => document.createElement(tag));
    bar.className = 'bar';
    bar.setAttribute('role', 'meter');
    bar.setAttribute('aria-label', name);
    bar.setAttribute('aria-valuemin', '0');
    bar.setAttribute('aria-valuemax', '100');
    bar.setAttribute('aria-valuenow', '0');
    label.textContent = name;
    fill.style.background = `var(--${name})`;
    track.append(fill);
    bar.append(label, track, value);
    at('bars').append(bar);
    return { bar, fill, value };
  });
}

function showBars(probabilities, label) {
  classes.forEach((name, i) => {
    const share = probabilities ? probabilities[name] : 0;
    const percent = Math.round(share * 100);
    bars[i].fill.style.transform = `scaleX(${share})`;
    bars[i].value.textContent = probabilities ? `${percent} %` : '–';
    bars[i].bar.setAttribute('aria-valuenow', String(percent));
    bars[i].bar.classList.toggle('told', name === label);
  });
}

function drawPast() {
  const [pen, width, height, scale] = fit(at('past'));
  const now = seconds();
  past = past.filter((one) => now - one.time <= MINUTE_S + 1);
  pen.clearRect(0, 0, width, height);
  past.forEach((one, i) => {
    const x = width * (1 - (now - one.time) / MINUTE_S);
    const end = i + 1 < past.length ? past[i + 1].time : Math.min(now, one.time + 1);
    const wide = Math.min(end - one.time, 1) / MINUTE_S * width + 0.5;
    const high = one.sure === null || one.label === 'unknown' ? 3 * scale : one.sure * height;
    pen.fillStyle = colours(`--${one.label}`);
    pen.fillRect(x, height - high, wide, high);
  });
  const counts = new Map();
  past.forEach((one) => counts.set(one.label, (counts.get(one.label) ?? 0) + 1));
  return [...counts].sort((a, b) => b[1] - a[1])
    .map(([label, count]) => `${label} ${Math.round(100 * count / past.length)} %`).join(', ');
}

function showStages(now) {
  for (const name of Object.keys(stages)) if (!(name in now)) stages[name] *= 0.8;
  for (const [name, ms] of Object.entries(now)) {
    stages[name] = name in stages ? 0.8 * stages[name] + 0.2 * ms : ms;
  }
  const known = Object.entries(stages).filter(([name, ms]) => ms > 0.005 && name !== 'capture');
  if (at('stages').childElementCount !== known.length) {
    const made = (tag) => known.map(() => document.createElement(tag));
    at('stages').replaceChildren(...made('li'));
    at('stack').replaceChildren(...made('i'));
    for (const one of at('stages').children) one.append(document.createElement('i'), '');
  }
  known.forEach(([name, ms], i) => {
    const colour = `var(${SHADES[i % SHADES.length]})`;
    const line = at('stages').children[i];
    line.firstChild.style.background = colour;
    line.lastChild.data = `${name} ${ms.toFixed(1)} ms`;
    at('stack').children[i].style.background = colour;
    at('stack').children[i].style.flexGrow = String(ms);
  });
  const sum = known.reduce((before, [, ms]) => before + ms, 0);
  const wait = 'capture' in stages ? `, after ${stages.capture.toFixed(1)} ms for it to come` : '';
  text('total', `${sum.toFixed(1)} ms${wait}`);
}

function showDevice(status, camera, from) {
  const rate = status.frames_per_second;
  text('rate', (rate == null ? '–' : `${rate.toFixed(1)} a second`) + (status.slow ? `, slowed down: ${status.slow}` : ''));
  const heat = status.temperature_celsius;
  text('heat', (heat == null ? 'not told' : `${Math.round(heat)} °C`) + (status.throttled ? ', throttled' : ''));
  at('heat').classList.toggle('bad', Boolean(status.throttled));
  text('camera', camera === 'ok' ? `ok: ${from}` : camera);
  at('camera').classList.toggle('bad', camera !== 'ok');
  const waiting = status.mqtt_queued ? `, ${status.mqtt_queued} messages wait` : '';
  const away = status.mqtt_connected === 0;
  text('broker', status.mqtt_connected == null ? 'none' : (away ? 'away' : 'connected') + waiting);
  at('broker').classList.toggle('bad', away);
}

function showCalibration(how) {
  const busy = ['waiting', 'ready', 'taking'].includes(how?.phase);
  at('calibrate').disabled = !how || how.phase === 'off' || busy;
  text('calibration', how ? `Resting face: ${how.text}${busy ? ` … ${how.left_s}` : ''}` : '');
  at('calibration').className = busy ? 'busy' : `faint ${how?.phase}`;
}

function showAim(aim) {
  const advice = aim.advice.length ? aim.advice : ['Well aimed'];
  const list = at('advice');
  while (list.childElementCount > advice.length) list.lastChild.remove();
  while (list.childElementCount < advice.length) list.append(document.createElement('li'));
  advice.forEach((words, i) => {
    const line = list.children[i];
    if (line.textContent !== words) line.textContent = words;
    line.className = aim.advice.length ? '' : 'well';
  });
  const parts = [];
  if (aim.width != null) parts.push(`face ${aim.width} px wide`, `turned ${signed(aim.yaw)}°, nod ${signed(aim.pitch)}°, tilt ${signed(aim.roll)}°`);
  if (aim.light != null) parts.push(`light ${aim.light} of 255`);
  text('figures', parts.join(' · '));
}

// ---- what screen readers hear: a changed label or advice, not numbers, and not too often

let heard = '';
let heardAt = -10;
function announce(message) {
  const kinds = message.aim.advice.map((one) => one.split(':')[0]);
  const how = message.status.calibration;
  const told = how && !['idle', 'off'].includes(how.phase) ? [how.text] : [];
  const words = [message.reason ?? message.label, ...kinds, ...told].join('; ');
  if (words === heard || seconds() - heardAt < 5) return;
  heard = words;
  heardAt = seconds();
  text('news', words);
  at('mesh').setAttribute('aria-label', message.face ? `Mesh of a face, ${message.aim.width} pixels wide` : 'No face');
}

// ---- the line to the device

function show(message) {
  toldAt = seconds();
  linked(true);
  if (paused) return;
  told = message;
  const last = past[past.length - 1];
  if (!last || last.label !== message.label || toldAt - last.time >= 0.25) {
    past.push({ time: toldAt, label: message.label, sure: message.confidence });
  }
  size = message.size ?? size;
  at('mesh').style.aspectRatio = size.join(' / ');
  showMesh(message.mesh);
  showPicture(message.picture);
  text('label', message.label);
  at('label').style.color = message.label === 'unknown' ? 'var(--faint)' : '';
  const sure = message.confidence === null ? '' : `${Math.round(message.confidence * 100)} % sure, `;
  text('sure', `${message.reason ? `${message.reason}, ` : sure}for ${Math.floor(message.held_s)} s`);
  showBars(message.probabilities, message.label);
  showAim(message.aim);
  showCalibration(message.status.calibration);
  announce(message);
  if (toldAt - pastAt >= (still.matches ? 1 : 0.2)) {
    pastAt = toldAt;
    const summary = drawPast();
    if (Math.floor(toldAt) % 5 === 0) at('past').setAttribute('aria-label', `Last minute: ${summary}`);
    showStages(message.timings_ms);
    showDevice(message.status, message.camera, message.source);
  }
}

function linked(live) {
  document.body.className = live ? '' : 'lost';
  if (live) {
    text('state', paused ? 'paused' : 'live');
    text('age', '');
  }
}

function watchLine() {
  if (!toldAt || seconds() - toldAt < STALE_S) {
    if (source.readyState !== EventSource.OPEN && toldAt) lost();
    return;
  }
  lost();
}

function lost() {
  linked(false);
  text('state', source.readyState === EventSource.OPEN ? 'no news' : 'connection lost');
  if (told) { // never a reading that is not true any more
    const last = told.label;
    told = null;
    goal = shown = null;
    text('label', 'unknown');
    at('label').style.color = 'var(--faint)';
    text('sure', `no connection; it was ${last}`);
    showBars(null);
    showAim({ advice: ['no connection to the device'] });
    drawMesh();
  }
  text('age', toldAt ? `for ${Math.round(seconds() - toldAt)} s` : '');
}

function connect() {
  source = new EventSource('events');
  source.addEventListener('history', (event) => {
    const about = JSON.parse(event.data);
    makeBars(about.classes);
    const now = seconds();
    past = about.past.map(([age, label, sure]) => ({ time: now - age, label, sure }));
  });
  source.onmessage = (event) => show(JSON.parse(event.data));
  source.onerror = () => {
    lost();
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    setTimeout(async () => { // it was refused
      const page = await fetch('.').catch(() => null);
      if (page?.status === 401) location.reload();
      else connect();
    }, 2000);
  };
}

function toggle(id, change) {
  at(id).addEventListener('click', () => {
    const on = at(id).getAttribute('aria-pressed') !== 'true';
    at(id).setAttribute('aria-pressed', String(on));
    change(on);
  });
}

at('calibrate').addEventListener('click', async () => {
  at('calibrate').disabled = true; // until a message tells more
  const answer = await fetch('calibrate', { method: 'POST' }).catch(() => null);
  if (!answer?.ok) text('calibration', `Not begun: ${answer ? await answer.text() : 'no connection'}`);
});

readColours();
toggle('mirror', (on) => { mirrored = on; drawMesh(); });
toggle('pause', (on) => { paused = on; text('state', on ? 'paused' : 'live'); });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readColours(); drawMesh(); drawPast(); });
addEventListener('resize', () => { drawMesh(); drawPast(); });
setInterval(watchLine, 1000);
drawMesh();
connect();
