// The start page works without this: it fills in the address it was loaded from, offers copying, and asks /readyz.

for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;

if (navigator.clipboard) {
  for (const block of document.querySelectorAll(".copyable")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("pre").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    block.append(button);
  }
}

const status = document.getElementById("status");
try {
  const answer = await fetch("/readyz");
  const { checks } = await answer.json();
  const failing = Object.keys(checks).filter((name) => !checks[name]);
  status.dataset.state = answer.ok ? "ready" : "unwell";
  status.textContent = answer.ok ? `Running at ${location.host}, ready for requests` : `Not ready: ${failing.join(", ")}`;
} catch {
  status.dataset.state = "unwell";
  status.textContent = "It does not answer any more";
}
