// One alert or story in the list: made once, changed in place when a revision comes.

import { ago, dotted, el, label, quote, timeOf, webAddress } from "./dom.js";
import { Correction } from "./correction.js";
import { count, direction, kindName, languageName, percent, reasonText, text, topicName } from "./texts.js";

const OUTLETS_SHOWN = 4;
const HELD_SHOWN = 3;
let made = 0;

export class Card {
	/** `desk` has what a card asks of the page: loadStory(id), send(feedback), topics(), openStory(id). */
	constructor(item, desk) {
		this.desk = desk;
		this.story = null;
		const id = `item-${++made}`;
		this.rail = el("p", { class: "rail" });
		this.meta = el("p", { class: "meta" });
		this.headline = el("button", { type: "button", class: "headline", "aria-expanded": "false", "aria-controls": `${id}-details`,
			onclick: () => this.toggle() });
		this.sub = el("p", { class: "sub" });
		this.notice = el("div");
		this.facts = el("div");
		this.correction = new Correction(desk);
		this.details = el("div", { class: "details", id: `${id}-details`, hidden: true }, this.facts, this.correction.root);
		this.body = el("div", { class: "body" },
			this.meta, el("h3", { class: "title" }, this.headline), this.sub, this.notice, this.details);
		this.root = el("li", { class: "item" }, el("article", {}, this.rail, this.body));
		this.update(item);
	}

	get isOpen() {
		return !this.details.hidden;
	}

	update(item) {
		const changed = this.item && this.item.revision !== item.revision;
		this.item = item;
		this.root.dataset.kind = item.kind;
		this.body.dir = direction(item.language);
		this.rail.replaceChildren(timeOf(item.at), ago(item.at));
		this.meta.replaceChildren(...dotted(this.#meta()));
		const words = item.kind === "summary" && !item.storyId
			? label(`${reasonText("held_back")} (${count(item.heldBack.length)})`)
			: quote(item.title || text("untitled"), item.language);
		this.headline.replaceChildren(item.kind === "retracted" ? el("s", {}, words) : words);
		this.sub.replaceChildren(...dotted(this.#sub()));
		this.notice.replaceChildren(...this.#notice());
		this.correction.update(item);
		if (changed) {
			// Restarts the short highlight that tells the eye where something changed.
			this.root.classList.remove("changed");
			void this.root.offsetWidth;
			this.root.classList.add("changed");
		}
		if (this.isOpen) this.#load();
	}

	toggle(open = !this.isOpen) {
		if (open === this.isOpen) return;
		this.details.hidden = !open;
		this.headline.ariaExpanded = open;
		this.root.classList.toggle("open", open);
		if (open) this.#load();
	}

	#meta() {
		const { item } = this;
		const parts = [label(kindName(item.kind), "kind")];
		if (item.changedAt - item.at >= 1000) parts.push(ago(item.changedAt));
		if (item.storyId) parts.push(label(topicName(item.topic)));
		if (item.language) parts.push(label(languageName(item.language)));
		return parts;
	}

	#sub() {
		const { item } = this;
		if (!item.storyId) return [];
		const shown = item.outlets.slice(0, OUTLETS_SHOWN).map((outlet) => el("bdi", { class: "outlet" }, outlet));
		const more = item.outlets.length - shown.length;
		if (more > 0) shown.push(label(`+${count(more)}`));
		if (item.article_count > 1) shown.push(label(text("articles", { n: item.article_count })));
		return shown;
	}

	#notice() {
		const { item } = this;
		if (item.kind === "retracted") {
			return [el("p", { class: "wrong" }, label(item.why.map(reasonText).join(" ") || text("retracted")))];
		}
		if (!item.heldBack.length) return [];
		return [this.#held(item.heldBack.slice(0, HELD_SHOWN))];
	}

	#held(stories) {
		return el("ul", { class: "held", role: "list" }, ...stories.map((held) => el("li", {},
			el("button", { type: "button", class: "link", onclick: () => this.desk.openStory(held.story_id) },
				quote(held.title || text("untitled"), held.lang)),
			el("p", { class: "sub" }, ...dotted([held.source && el("bdi", {}, held.source), timeOf(held.held_back_at)])))));
	}

	async #load() {
		this.#show();
		if (!this.item.storyId) return;
		const asked = this.item;
		this.details.ariaBusy = true;
		try {
			this.story = await this.desk.loadStory(asked.storyId);
			this.trouble = null;
		} catch (error) {
			this.trouble = error.status === 404 ? text("storyGone") : `${text("troubleTitle")}: ${error.message}`;
		}
		this.details.ariaBusy = false;
		if (this.item === asked && this.isOpen) this.#show();
	}

	#show() {
		const { item } = this;
		if (!item.storyId) {
			const more = item.heldBack.slice(HELD_SHOWN);
			this.facts.replaceChildren(...(more.length ? [this.#held(more)] : []),
				el("p", {}, label(reasonText("held_back"))));
			return;
		}
		const story = this.story ?? item.story;
		const focused = this.facts.contains(document.activeElement) ? document.activeElement.href : null;
		this.facts.replaceChildren(...[
			this.trouble && el("p", { class: "wrong", role: "status" }, label(this.trouble)),
			...this.#reasons(story ?? item),
			...this.#articles(story ?? item),
		].filter(Boolean));
		// A story that grows while somebody walks through its links leaves the focus where it was.
		if (focused) [...this.facts.querySelectorAll("a")].find((a) => a.href === focused)?.focus();
	}

	#reasons({ reasons }) {
		if (!reasons.length) return [];
		return [heading("why"),
			el("ul", { class: "reasons" }, ...reasons.map((reason) => el("li", {}, label(reasonText(reason)))))];
	}

	#articles({ articles, article_count: all }) {
		const more = all - articles.length;
		return [heading("articlesTitle"),
			el("ol", { class: "articles", role: "list" }, ...articles.map((article, place) => this.#article(article, place))),
			more > 0 && el("p", { class: "sub" }, label(`+${count(more)}`))];
	}

	#article(article, place) {
		const address = webAddress(article.url);
		const title = quote(article.title || text("untitled"), this.item.language);
		return el("li", {},
			el("p", { class: "article-title" },
				address ? el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, title) : title),
			el("p", { class: "sub" }, ...dotted([
				article.source && el("bdi", { class: "outlet" }, article.source),
				article.published_at && timeOf(article.published_at, "published"),
				timeOf(article.ingested_at, "received")])),
			joined(article, place));
	}
}

const heading = (name) => el("h4", {}, label(text(name)));

/** Why an article is in its story. */
function joined(article, place) {
	if (typeof article.similarity !== "number") {
		return place === 0 && el("p", { class: "joined" }, label(text("first")));
	}
	const words = article.shared?.length
		? [label(`${text("shared")}:`), ...article.shared.map((word) => el("bdi", { class: "word" }, word))]
		: [];
	return el("p", { class: "joined" },
		label(text("alike", { percent: percent(article.similarity) })), ...words);
}
