// Where the page begins: texts of the reader's language, then the daemon, then the frame.
import { render } from "preact";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/frame.css";
import { enterByLink } from "./api/entry.ts";
import { App } from "./app.tsx";
import { startTexts } from "./i18n/t.ts";

await Promise.all([startTexts(), enterByLink()]);
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
