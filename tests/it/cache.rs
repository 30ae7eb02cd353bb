//! What one replica changes, another sees.

use std::time::Duration;

use patchbay::db;
use patchbay::db::notify::Changed;

use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_stops_working_on_another_replica() {
    let test = TestApp::new().await;
    let (other, _) = test.replica(&[]).await;
    // The other replica's listener clears the cache when it is ready; from then on it hears all.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(other.cache.principal(&test.project.key).await.unwrap().is_some());

    let mut tx = test.app.db.begin().await.unwrap();
    db::api_key::delete_all(&mut *tx, &test.project.id).await.unwrap();
    test.app.changed(&mut *tx, &Changed::Keys).await.unwrap();
    // Not committed: the other replica still knows the key.
    assert!(other.cache.principal(&test.project.key).await.unwrap().is_some());
    tx.commit().await.unwrap();
    test.app.cache.invalidate(&Changed::Keys);

    assert!(test.app.cache.principal(&test.project.key).await.unwrap().is_none());
    for _ in 0..100 {
        if other.cache.principal(&test.project.key).await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the other replica still accepts the key after a second");
}
