// Of all drafts' places in the browser's storage.
export const PREFIX = "deepoj:draft";
