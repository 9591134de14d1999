// In Airflow's frame, follow the class of the page around; else use the stored theme or the system's, as Airflow does.

const own = document.documentElement.classList;

function airflow() {
  return window.parent === window ? null : window.parent.document.documentElement;
}

function isDark() {
  const page = airflow();
  if (page) return page.classList.contains("dark");
  const chosen = localStorage.getItem("theme");
  return chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

export function follow() {
  const apply = () => own.toggle("dark", isDark());
  apply();
  if (airflow()) new MutationObserver(apply).observe(airflow(), { attributes: true, attributeFilter: ["class"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
}
