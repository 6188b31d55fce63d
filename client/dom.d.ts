/** The generated client names this type of the browser, which Node's own types leave out. */
type BodyInit = NonNullable<RequestInit['body']>;
