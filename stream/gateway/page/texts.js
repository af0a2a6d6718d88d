// What the page says, in English and in Arabic. A text with plural forms is an object by Intl.PluralRules category.

export const TEXTS = {
	title: ["Ajil: breaking news, live", "عاجل: الأخبار لحظة وقوعها"],
	other: ["العربية", "English"],
	skip: ["Skip to the news", "انتقل إلى الأخبار"],
	alerts: ["Alerts", "التنبيهات"],
	stories: ["Stories", "القصص"],
	sound: ["Sound for new alerts", "صوت عند كل تنبيه جديد"],
	notify: ["Desktop notifications", "إشعارات سطح المكتب"],
	dark: ["Dark theme", "المظهر الداكن"],
	help: ["Keyboard", "لوحة المفاتيح"],
	shortcuts: ["Single-key shortcuts are on", "اختصارات الحرف الواحد مفعّلة"],
	close: ["Close", "إغلاق"],
	filters: ["Filters", "التصفية"],
	search: ["Search headlines and outlets", "ابحث في العناوين والمصادر"],
	language: ["Language", "اللغة"],
	topic: ["Topic", "الموضوع"],
	source: ["Outlet", "المصدر"],
	kind: ["Kind", "النوع"],
	clear: ["Clear", "مسح"],
	any: {
		lang: ["All languages", "كل اللغات"],
		topic: ["All topics", "كل المواضيع"],
		source: ["All outlets", "كل المصادر"],
		kind: ["All kinds", "كل الأنواع"],
	},
	loading: ["Loading the latest news", "يجري تحميل آخر الأخبار"],
	state: {
		connecting: ["Connecting", "جارٍ الاتصال"],
		live: ["Live", "مباشر"],
		waiting: ["Reconnecting", "تجري إعادة الاتصال"],
		locked: ["Token needed", "يلزم رمز دخول"],
	},
	emptyTitle: ["Nothing yet", "لا جديد بعد"],
	emptyText: ["What breaks appears here by itself.", "كل خبر عاجل يظهر هنا من تلقاء نفسه."],
	unmatchedTitle: ["Nothing matches", "لا نتائج"],
	unmatchedText: ["What fits the search and the filters will appear here by itself.", "ما يوافق البحث والتصفية يظهر هنا من تلقاء نفسه."],
	troubleTitle: ["The news cannot be loaded", "تعذّر تحميل الأخبار"],
	troubleText: ["The server does not answer. The page keeps trying.", "الخادم لا يجيب، والصفحة تعيد المحاولة."],
	retry: ["Try now", "حاول الآن"],
	tokenTitle: ["This server asks for a token", "هذا الخادم يطلب رمز دخول"],
	tokenText: ["Paste the token that was given to you. This browser stays signed in for 30 days.", "ألصق الرمز الذي أُعطيته، ويبقى هذا المتصفح مسجَّل الدخول ثلاثين يومًا."],
	token: ["Token", "الرمز"],
	tokenUse: ["Use token", "استخدم الرمز"],
	tokenWrong: ["The server did not accept this token.", "لم يقبل الخادم هذا الرمز."],
	fresh: [
		{ one: "{n} new alert", other: "{n} new alerts" },
		{ zero: "لا جديد", one: "تنبيه جديد", two: "تنبيهان جديدان", few: "{n} تنبيهات جديدة", many: "{n} تنبيهًا جديدًا", other: "{n} تنبيه جديد" },
	],
	articles: [
		{ one: "{n} article", other: "{n} articles" },
		{ zero: "بلا مقالات", one: "مقال واحد", two: "مقالان", few: "{n} مقالات", many: "{n} مقالًا", other: "{n} مقال" },
	],
	kinds: {
		opened: ["Breaking", "عاجل"],
		confirmed: ["Confirmed", "مؤكَّد"],
		updated: ["Updated", "محدَّث"],
		retracted: ["Retracted", "مسحوب"],
		summary: ["Held back", "مؤجَّل"],
		story: ["Story", "قصة"],
	},
	topics: {
		politics: ["Politics", "سياسة"],
		economy: ["Economy", "اقتصاد"],
		sport: ["Sport", "رياضة"],
		arts_culture_entertainment: ["Arts and culture", "ثقافة وفنون"],
		science_technology: ["Science and technology", "علوم وتقنية"],
		health: ["Health", "صحة"],
		religion: ["Religion", "دين"],
	},
	noTopic: ["No topic", "بلا موضوع"],
	reasons: {
		marker: ["It begins with a breaking-news word.", "يبدأ بكلمة تدل على خبر عاجل."],
		urgency: ["Its source marked it as urgent.", "وسمه مصدره بأنه مستعجل."],
		alert_style: ["It is worded like a news flash.", "صيغ بأسلوب الأخبار العاجلة."],
		withdrawn: ["An editor withdrew it.", "سحبه أحد المحررين."],
		canceled: ["Its source cancelled it.", "ألغاه مصدره."],
		withheld: ["Its source withheld it.", "حجبه مصدره."],
		held_back: ["Held back in a storm of alerts", "مؤجَّلة في سيل من التنبيهات"],
	},
	retracted: ["This alert was false.", "لم يكن هذا التنبيه صحيحًا."],
	why: ["Why it is breaking", "لماذا هو عاجل"],
	articlesTitle: ["Articles", "المقالات"],
	published: ["published {time}", "نُشر {time}"],
	received: ["received {time}", "وصل {time}"],
	first: ["opened the story", "بدأت به القصة"],
	alike: ["{percent} alike", "تشابه {percent}"],
	shared: ["shared words", "كلمات مشتركة"],
	untitled: ["Untitled", "بلا عنوان"],
	storyGone: ["The story is not kept any more; this is what the alert said.", "لم تعد القصة محفوظة، وهذا ما قاله التنبيه."],
	notBreaking: ["Not breaking", "ليس عاجلًا"],
	wrongTopic: ["Wrong topic", "الموضوع خطأ"],
	withdrawAsk: ["This withdraws the alert for every subscriber.", "يُسحب التنبيه بهذا من جميع المشتركين."],
	note: ["Note (optional)", "ملاحظة (اختياري)"],
	by: ["Your name (optional)", "اسمك (اختياري)"],
	withdraw: ["Withdraw the alert", "اسحب التنبيه"],
	rightTopic: ["Right topic", "الموضوع الصحيح"],
	send: ["Send", "أرسل"],
	cancel: ["Cancel", "إلغاء"],
	withdrawSent: ["Sent. The alert is retracted here as soon as it is for all.", "أُرسل. يظهر التنبيه مسحوبًا هنا فور سحبه من الجميع."],
	topicSent: ["Sent: the right topic is {topic}.", "أُرسل: الموضوع الصحيح «{topic}»."],
	notSent: ["Not sent: {message}", "لم يُرسل: {message}"],
	notifyNo: ["The browser does not allow notifications from this page.", "المتصفح لا يسمح لهذه الصفحة بالإشعارات."],
	keys: {
		j: ["Next headline", "العنوان التالي"],
		k: ["Previous headline", "العنوان السابق"],
		Enter: ["Open or close it", "فتحه أو إغلاقه"],
		Esc: ["Close it", "إغلاقه"],
		"/": ["Search", "بحث"],
		"?": ["These keys", "هذه المفاتيح"],
	},
};

const RIGHT_TO_LEFT = new Set(["ar", "arc", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"]);

export let locale = "en";
let plural, number, percents, names, clock, day, exact, relative;

export function setLocale(wanted) {
	locale = wanted === "ar" ? "ar" : "en";
	// The reader's own region where it is of that language.
	const region = navigator.languages.find((one) => one.startsWith(locale)) ?? locale;
	plural = new Intl.PluralRules(locale);
	number = new Intl.NumberFormat(region);
	percents = new Intl.NumberFormat(region, { style: "percent" });
	names = new Intl.DisplayNames(locale, { type: "language" });
	const hourCycle = "h23";
	clock = new Intl.DateTimeFormat(region, { hour: "2-digit", minute: "2-digit", hourCycle });
	day = new Intl.DateTimeFormat(region, { day: "numeric", month: "short" });
	exact = new Intl.DateTimeFormat(region, { dateStyle: "full", timeStyle: "long", hourCycle });
	relative = new Intl.RelativeTimeFormat(region, { numeric: "auto", style: "short" });
}
setLocale("en");

/** The direction of a language, of the page's own without one. */
export const direction = (language) => (RIGHT_TO_LEFT.has((language || locale).split("-")[0]) ? "rtl" : "ltr");

/** The text of a name, e.g. text("articles", {n: 3}) or text("kinds.opened"); undefined where there is none. */
export function text(name, values = {}) {
	let found = TEXTS;
	for (const part of name.split(".")) found = found && Object.hasOwn(found, part) ? found[part] : undefined;
	found = found?.[locale === "ar" ? 1 : 0];
	if (typeof found === "object") found = found[plural.select(values.n)];
	return found?.replace(/\{(\w+)\}/g, (_, key) => (key === "n" ? number.format(values.n) : values[key]));
}

// A label that the page has no word for (of a user's own bundle, of a newer server) is shown as it is, made readable.
const named = (table, label) => text(`${table}.${label}`) ?? label.replace(/[_-]+/g, " ");

export const kindName = (kind) => named("kinds", kind);
export const topicName = (label) => (label === null ? text("noTopic") : named("topics", label));
export const reasonText = (reason) => named("reasons", reason);
export const topicLabels = Object.keys(TEXTS.topics);
export const keyNames = Object.keys(TEXTS.keys);
export const percent = (share) => percents.format(share);
export const count = (n) => number.format(n);

export function languageName(code) {
	try {
		return names.of(code);
	} catch {
		return code;
	}
}

/** "14:32", with the day where it is not today's. */
export function clockTime(date) {
	const told = clock.format(date);
	return date.toDateString() === new Date().toDateString() ? told : `${day.format(date)} ${told}`;
}

export const exactTime = (date) => exact.format(date);

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** "2 min. ago"; under a minute "now". */
export function relativeTime(date) {
	const seconds = (date - Date.now()) / 1000;
	for (const [unit, length] of STEPS) {
		if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
	}
	return relative.format(0, "second");
}
