//! The HTTP of the endpoint: one path, one method.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use aura_engine::env::Env;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::text;

/// Makes the text of the moment.
pub type Source = Arc<dyn Fn() -> String + Send + Sync>;

/// How long a client may keep a connection, in nanoseconds: a scrape takes far less.
const PATIENCE_NANOS: u64 = 10_000_000_000;

/// How long is waited after a connection that could not be taken, in nanoseconds.
const PAUSE_NANOS: u64 = 100_000_000;

/// Answers `GET /metrics` with what `source` makes, for as long as the future is polled. Each
/// connection has a task of `env`, and ends after ten seconds, so that no slow client keeps others
/// waiting.
///
/// The future and the listener belong to a runtime of tokio that has I/O and time. Bind it to the
/// loopback unless the network is trusted: nothing is asked of who reads.
///
/// ```
/// use std::sync::Arc;
///
/// use aura_engine::env::memory::MemoryWorld;
/// use aura_engine::{Engine, EngineBuilder};
/// use aura_experiments::endpoint::{Source, open_metrics, serve};
///
/// let world = MemoryWorld::new(1)?;
/// let engine = world.block_on(EngineBuilder::new(world.env(), "/db").open())?;
/// let read = engine.clone();
/// let source: Source = Arc::new(move || open_metrics(read.reading(), read.health()));
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// runtime.block_on(async {
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
///     // As long as the program runs: here, not at all.
///     drop(serve(world.env(), listener, source));
///     Ok::<(), std::io::Error>(())
/// })?;
/// world.block_on(engine.close())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn serve(env: Env, listener: TcpListener, source: Source) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = connection(env.clone(), stream, source.clone());
                env.tasks.spawn("metrics", Box::pin(connection));
            }
            // Too many open files, for one: others may close theirs.
            Err(_) => env.clock.sleep(PAUSE_NANOS).await,
        }
    }
}

/// Answers the requests of one client, until it is done or its time is over.
async fn connection(env: Env, stream: TcpStream, source: Source) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let source = source.clone();
        async move { Ok::<_, Infallible>(response(&request, &source)) }
    });
    // One request each: a connection that is kept would end in the middle of a later one.
    let mut http = http1::Builder::new();
    let served = http
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    let mut served = pin!(served);
    let mut patience = pin!(env.clock.sleep(PATIENCE_NANOS));
    poll_fn(|context| {
        // A client that goes away early is no failure of ours.
        let is_over = served.as_mut().poll(context).is_ready();
        match is_over || patience.as_mut().poll(context).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

fn response(request: &Request<Incoming>, source: &Source) -> Response<String> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
    }
    let mut response = Response::new(source());
    let kind = hyper::header::HeaderValue::from_static(text::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response
}

/// A listener of this machine.
pub(crate) struct Server(std::net::TcpListener);

impl Server {
    /// Listens at `address`; a port of 0 is replaced by a free one.
    ///
    /// # Errors
    /// The address is in use, or is not one of this machine's.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Where the metrics are.
    ///
    /// # Errors
    /// The system does not name the listener's address.
    pub(crate) fn url(&self) -> io::Result<String> {
        let address = self.0.local_addr()?;
        Ok(format!("http://{address}/metrics"))
    }

    /// Answers as [`serve`] does, in this thread, and polls `beside` meanwhile.
    ///
    /// # Errors
    /// The system refuses what it takes to wait for connections.
    pub(crate) fn answer(
        self,
        env: Env,
        source: Source,
        beside: impl Future<Output = Infallible>,
    ) -> io::Result<Infallible> {
        let io = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        io.block_on(async {
            let listener = TcpListener::from_std(self.0)?;
            let mut serving = pin!(serve(env, listener, source));
            let mut beside = pin!(beside);
            let never = poll_fn(|context| match serving.as_mut().poll(context) {
                Poll::Ready(never) => match never {},
                Poll::Pending => beside.as_mut().poll(context).map(Ok),
            });
            never.await
        })
    }
}
