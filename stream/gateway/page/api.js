// The gateway's HTTP API: JSON in and out, and the alert stream.
//
// The stream is read with fetch: EventSource gives up on an HTTP error, and cannot tell a dead connection from a quiet one.

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;
const SILENCE = 40000; // a heartbeat comes every 15 s; after so long the connection is dead

export class ApiError extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}

	get isRefusal() {
		return this.status === 401 || this.status === 403;
	}
}

async function ask(path, options = {}) {
	const response = await fetch(path, { cache: "no-store", ...options });
	if (response.ok) return response;
	const problem = await response.json().catch(() => ({}));
	throw new ApiError(response.status, problem.detail || problem.title || `HTTP ${response.status}`);
}

export const get = async (path) => (await ask(path)).json();

export const post = (path, record) =>
	ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(record) });

/** Gives a token for a cookie that no script can read. */
export const signIn = (token) => ask("v1/session", { method: "POST", headers: { authorization: `Bearer ${token}` } });

/** The blocks of an event stream as {event, id, data}, null where a block has none; `heard` is called for every chunk. */
async function* events(body, heard) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	let block = {};
	for (;;) {
		const { value, done } = await reader.read();
		if (done) return;
		heard();
		const lines = (rest + value).split(/\r?\n/);
		rest = lines.pop();
		for (const line of lines) {
			const [, field, content] = /^([^:]*):? ?(.*)$/.exec(line);
			if (line === "") {
				yield { event: "message", id: null, data: null, ...block };
				block = {};
			} else if (field === "data") block.data = "data" in block ? `${block.data}\n${content}` : content;
			else if (field === "id" || field === "event") block[field] = content;
		}
	}
}

/** Reads the list of alerts, then follows the stream from where the list ends, for ever. */
export class Stream {
	#position = null;
	#wake = () => {};

	/**
	 * `load()` reads the list and returns its position. `onState(state, error)` is told connecting, live, waiting or
	 * locked; `onEvent({event, data})` what comes.
	 */
	constructor({ load, onState, onEvent }) {
		Object.assign(this, { load, onState, onEvent });
		addEventListener("online", () => this.retry());
		this.#run();
	}

	/** Connects now if it waits. */
	retry() {
		this.#wake();
	}

	async #run() {
		let wait = FIRST_WAIT;
		for (;;) {
			let failure = null;
			try {
				this.onState("connecting");
				this.#position ??= await this.load();
				await this.#follow(() => { wait = FIRST_WAIT; });
			} catch (error) {
				failure = error;
			}
			const locked = Boolean(failure?.isRefusal);
			this.onState(locked ? "locked" : "waiting", failure);
			// Spread, so that a thousand pages do not come back to a restarted server at once.
			await this.#sleep(locked ? LONGEST_WAIT : wait * (0.5 + Math.random()));
			wait = Math.min(wait * 2, LONGEST_WAIT);
		}
	}

	async #follow(heard) {
		const abort = new AbortController();
		let watchdog;
		const alive = () => {
			clearTimeout(watchdog);
			watchdog = setTimeout(() => abort.abort(), SILENCE);
		};
		alive();
		try {
			const response = await ask("v1/alerts/stream", { headers: { "last-event-id": this.#position }, signal: abort.signal });
			this.onState("live");
			for await (const block of events(response.body, alive)) {
				heard();
				if (block.data !== null) this.onEvent(block);
				// Only after it was taken in: a cut in between repeats an alert, which the store knows, and loses none.
				if (block.id !== null) this.#position = block.id;
			}
		} finally {
			clearTimeout(watchdog);
			abort.abort();
		}
	}

	#sleep(milliseconds) {
		return new Promise((resolve) => {
			this.#wake = resolve;
			setTimeout(resolve, milliseconds);
		});
	}
}
