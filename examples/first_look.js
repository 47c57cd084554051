// The attention patterns of one layer at a time. `found` has the tokens' HTML, the patterns [layer][head][query][key ≤
// query], and the layer to begin with.
const found = JSON.parse(document.getElementById("attention-data").textContent);
const heads = document.getElementById("heads");
const layer = document.getElementById("layer");
const hide = document.getElementById("hide-first");

const step = (share) => Math.round(Math.max(0, Math.min(1, share)) ** 0.7 * found.steps);

function square(pattern, from) {
  let rows = "";
  for (let query = from; query < pattern.length; query++) {
    const seen = pattern[query].slice(from);
    const whole = from ? seen.reduce((sum, share) => sum + share, 0) || 1 : 1;
    let cells = "";
    for (let key = from; key < pattern.length; key++) {
      if (key > query) { cells += "<td></td>"; continue; }
      const share = pattern[query][key] / whole;
      const said = `${found.plain[query]} looks at ${found.plain[key]}: ${(100 * share).toFixed(1)} %`;
      cells += `<td class="b${step(share)}" title="${said}"></td>`;
    }
    rows += `<tr><th>${found.tokens[query]}</th>${cells}</tr>`;
  }
  return `<table style="--n:${pattern.length - from}">${rows}</table>`;
}

function draw() {
  const chosen = found.patterns[layer.value];
  const from = hide.checked ? 1 : 0;
  document.getElementById("layer-number").textContent = layer.value;
  heads.innerHTML = chosen
    .map((pattern, head) => `<figure><figcaption>head ${head}</figcaption>${square(pattern, from)}</figure>`)
    .join("");
}

layer.addEventListener("input", draw);
hide.addEventListener("change", draw);
draw();
