// What the run says of itself: whether it is ready, and the newest sample of each GPU.
async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  return answer.json();
}

function row(gpu) {
  const tr = document.createElement("tr");
  const cells = [`${gpu.host}/${gpu.gpu_index}`, gpu.name ?? "-",
    gpu.utilization === undefined ? "-" : (100 * gpu.utilization).toFixed(0),
    gpu.price_per_hour_usd === undefined ? "-" : gpu.price_per_hour_usd];
  for (const text of cells) {
    tr.insertCell().textContent = text;
  }
  return tr;
}

async function show() {
  const state = document.getElementById("state");
  try {
    const [ready, gpus] = await Promise.all([ask("/ready"), ask("/gpu/info")]);
    const items = Array.isArray(gpus) ? gpus : [];
    state.textContent = ready.ready ? "The run takes records in." : `Not ready: ${ready.reasons.join("; ")}`;
    document.getElementById("gpus").replaceChildren(...items.map(row));
    document.querySelector("table").hidden = items.length === 0;
  } catch (e) {
    state.textContent = `gtap does not answer (${e.message}): see whether it still runs.`;
  }
  setTimeout(show, 2000);
}

show();
