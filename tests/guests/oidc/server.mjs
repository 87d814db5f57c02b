// The provider of this guest's tests, on the port PORT: one client, whoever signs in under any name is NAME@example.org.
import { Provider } from "oidc-provider";

const { PORT, REDIRECTS, SIGNED_OUT } = process.env;

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      client_id: "yard",
      client_secret: "the secret of the client",
      redirect_uris: REDIRECTS.split(" "),
      post_logout_redirect_uris: [SIGNED_OUT],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups"] },
  cookies: { keys: ["for this test alone"] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@example.org`,
      email_verified: id !== "mallory",
      name: id,
      groups: id === "ada" ? ["staff"] : [],
    }),
  }),
});

provider.listen(PORT, "127.0.0.1", () => console.log("listening"));
